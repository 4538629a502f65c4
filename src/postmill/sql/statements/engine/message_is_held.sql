-- Whether a message is in its queue with this token. $1 id, $2 read_ct, $3 vt (µs since 1970).
-- Called by: engine attempt_services, when the server has answered a commit with an error. Lock order: none. Errors:
-- none of its own.
select exists (
    select from {queue}
     where msg_id = $1 and read_ct = $2 and vt = timestamptz 'epoch' + $3::bigint * interval '1 microsecond'
)

-- Which messages are still in the queue under the delivery that a settlement was sent for, though it did not find them.
-- Called by: engine settler, for what looks like a lost lease. A trigger or row security that keeps a row says
-- nothing, but its row stays.
-- $1 ids, $2 their read_ct, $3 their vt (µs since 1970). Takes no locks. Errors: none of its own.
select q.msg_id
  from {queue} as q
  join unnest($1::bigint[], $2::integer[], $3::bigint[]) as sent (msg_id, read_ct, vt_us)
    on q.msg_id = any (array[sent.msg_id]) and q.read_ct = sent.read_ct
   and q.vt is not distinct from timestamptz 'epoch' + sent.vt_us * interval '1 microsecond'

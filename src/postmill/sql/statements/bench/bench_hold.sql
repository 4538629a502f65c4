-- The next messages of the throw-away queue, as a worker would hold them: id and token. Called by postmill.bench, for
-- settlements that are measured without a claim. $1 ids above this one, $2 so many. Takes no locks.
select msg_id, read_ct, (extract(epoch from vt) * 1000000)::bigint as vt_us
  from {queue}
 where msg_id > $1::bigint
 order by msg_id
 limit $2::integer

-- The newest $5 runs: with $1 of one flow, with $2 in one state, with $3 with that tag, with $4 those that are blocked.
-- With numbers below $6 when it is given.
-- Called by the command line. Takes no locks. Errors: none.
select run_id, flow, version, state, blocked, culprit, reason, key, tags, started_at, ended_at, deadline
  from postmill.run_list
 where ($1::text is null or flow = $1::text) and ($2::text is null or state = $2::text)
   and ($3::text is null or $3::text = any (tags)) and (not $4::boolean or (ended_at is null and blocked is not null))
   and ($6::bigint is null or run_id < $6::bigint)
 order by run_id desc
 limit $5::integer

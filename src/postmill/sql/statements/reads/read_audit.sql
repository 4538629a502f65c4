-- The last $1 actions, newest first, with numbers below $2 when it is given; with $3 those of one viewer only.
-- Called by the command line and the API. Takes no locks. Errors: none.
select audit_id, at, viewer, role, source, login, action, target, affected
  from postmill.audit
 where ($2::bigint is null or audit_id < $2::bigint) and ($3::text is null or viewer = $3::text)
 order by audit_id desc
 limit $1::integer

-- Errors: of queue $2 when it is given, with fingerprint $1 when it is; with $3 only open ones; $4 at most.
-- Called by the command line. Takes no locks. Errors: as error_list.
select *
  from postmill.error_list($1::text, $2::text)
 where not $3::boolean or state = 'open'
 limit $4::integer

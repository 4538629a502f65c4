-- Errors: of queue $2 when it is given, with fingerprint $1 when it is; with $3 only open ones; $4 at most, behind
-- the one with fingerprint $6 that was seen last at $5.
-- Called by the command line and the API. Takes no locks. Errors: as error_list.
select *
  from postmill.error_list($1::text, $2::text)
 where (not $3::boolean or state = 'open')
   and ($5::timestamptz is null or (last_seen, fingerprint) < ($5::timestamptz, $6::text))
 order by last_seen desc, fingerprint desc
 limit $4::integer

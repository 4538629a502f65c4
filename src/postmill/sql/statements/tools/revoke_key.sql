-- Takes back the issued key whose id is $1, or every one that was issued to the name $1 until now; $2 is the now of the
-- machine that asks, in seconds since 1970, whose clock may be ahead.
-- Called by postmill keys revoke. Locks: the subject's row. Errors: none of its own.
insert into postmill.revoked_keys as known (subject, at)
values ($1::text, greatest(clock_timestamp(), to_timestamp($2::float8)))
on conflict (subject) do update set at = greatest(known.at, excluded.at), login = session_user

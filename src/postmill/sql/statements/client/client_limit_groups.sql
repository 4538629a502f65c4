-- Limits the groups of queue $1, or only the group $5: $2 running at once, $3 starts in $4 seconds; null: none.
-- Called by the client. Locks and errors as postmill.limit_groups.
select postmill.limit_groups($1::text, $2::integer, $3::integer, $4::float8 * interval '1 second', $5::text)

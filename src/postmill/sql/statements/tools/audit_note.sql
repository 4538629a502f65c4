-- Writes down that $1 with the role $2 has done, from $3, the action $4 on $5 (JSON), to so many: $6. And deletes a few
-- rows that are too old.
-- Called by postmill.db.tools.audit. Locks as postmill._prune_audit. Errors: none.
with noted as (
    insert into postmill.audit (viewer, role, source, action, target, affected)
    values ($1::text, $2::text, $3::text, $4::text, $5::text::jsonb, $6::bigint)
)
select postmill._prune_audit()

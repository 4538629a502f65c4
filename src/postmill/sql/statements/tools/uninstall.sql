-- Removes all that is ours; the wake-up triggers on queues go with the function they call. Called by
-- postmill.db.tools.migrate under its lock. Locks every queue's table that has a trigger of ours for a moment. Errors:
-- insufficient_privilege.
drop schema postmill cascade;
drop schema if exists postmill_commands cascade;
-- Release 0.1.0 marked the schema of a facade, and not the views in it, which have gone with the tables they read.
do $$
begin
    if obj_description(to_regnamespace('edge_worker'), 'pg_namespace') like 'Facade of Postmill:%' then
        drop schema edge_worker;
    end if;
end
$$;

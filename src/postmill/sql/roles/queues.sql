-- What the roles may do with schema pgmq and with the tables of the queues that are there; create_queue sees to those
-- that follow. What has another owner is left out: `postmill doctor` says what that owner has to grant.
-- Called by postmill.db.tools.roles, after everyone.sql. Locks: none beyond those of GRANT. Errors: none of its own.
do $$
begin
    if pg_has_role((select nspowner from pg_namespace where nspname = 'pgmq'), 'usage') then
        grant usage on schema pgmq
            to postmill_producer, postmill_worker, postmill_scheduler, postmill_reader, postmill_operator;
    end if;
    if pg_has_role((select relowner from pg_class where oid = 'pgmq.meta'::regclass), 'usage') then
        grant select on pgmq.meta
            to postmill_producer, postmill_worker, postmill_scheduler, postmill_reader, postmill_operator;
    end if;
    perform postmill._grant_on_queue(meta.queue_name::text) from pgmq.meta as meta
    where to_regclass(format('pgmq.%I', lower('q_' || meta.queue_name))) is not null;
end
$$;

-- Creates a queue (logged, unpartitioned) with our storage parameters, the wake-up trigger and the grants of Postmill's
-- roles. Idempotent. A queue that is here already and was not created by us is only written down (owned = false);
-- nothing of it is altered.
-- Called by people, the command line and workers at start. Locks: pgmq's own advisory lock for this queue name.
-- Errors: PM002 the name, PM005 the name's table belongs to something else.
create or replace function postmill.create_queue(name text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    taken_by text;
begin
    if exists (select from pgmq.meta where queue_name = create_queue.name) then
        insert into postmill.queues (queue_name, owned) values (create_queue.name, false)
        on conflict (queue_name) do nothing;
        return;
    end if;
    perform postmill._check_queue_name(create_queue.name);
    -- The lock that pgmq itself takes: no other session creates the queue between our look at the catalogue and its
    -- "create if not exists".
    perform pg_advisory_xact_lock(hashtext('pgmq.queue_' || create_queue.name));
    if exists (select from pgmq.meta where queue_name = create_queue.name) then
        perform postmill.create_queue(create_queue.name);
        return;
    end if;
    select class.relname into taken_by
    from pg_class as class
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    where namespace.nspname = 'pgmq'
      and class.relname in ('q_' || create_queue.name, 'a_' || create_queue.name,
                            'q_' || create_queue.name || '_msg_id_seq');
    if taken_by is not null then
        raise exception 'queue % can''t be created', quote_literal(create_queue.name)
            using errcode = 'PM005',
                  detail = format('pgmq.%I is here already and belongs to another queue.', taken_by),
                  hint = 'Choose another name.';
    end if;
    perform pgmq.create(queue_name => create_queue.name);
    perform postmill._forget_queue(create_queue.name, dead_too => false);
    -- Ten million archived messages of 100 bytes take 3 GB, and are a day of 100 messages a second. Without a bound
    -- the archive of a busy queue fills the disk long before its seven days are over, and then nobody can send.
    insert into postmill.queues (queue_name, owned, archive_retention, archive_max_rows)
    values (create_queue.name, true, interval '7 days', 10000000);
    -- A queue's rows live for seconds and its table is small, or should be. Vacuum by a count of dead rows, not by a
    -- share of the table, which grows with the very backlog that needs it; and without the pauses meant for large
    -- tables. fillfactor stays 100: vt is indexed, so a claim is never a HOT update and room left in a page buys
    -- nothing.
    execute format(
        'alter table pgmq.%I set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, '
        'autovacuum_vacuum_cost_delay = 0, toast.autovacuum_vacuum_scale_factor = 0, '
        'toast.autovacuum_vacuum_threshold = 1000, toast.autovacuum_vacuum_cost_delay = 0)',
        'q_' || create_queue.name);
    perform postmill.enable_wakeups(create_queue.name);
    perform postmill._grant_on_queue(create_queue.name);
end
$$;

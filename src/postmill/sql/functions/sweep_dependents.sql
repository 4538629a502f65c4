-- Looks after the messages that wait for others, where no settlement does: sources that another client has archived,
-- deleted, purged or dropped; ends that were noted and not passed on; messages that are free and whose row was locked;
-- and what is left of messages that are gone themselves. One bounded batch, by one session at a time: at most `most`
-- sources and as many targets, from where the last batch ended. Returns whether more is waiting.
-- Called by every worker, every two seconds; anyone may. Waits for no lock longer than 0.1 s. A queue that can't be
-- looked after (no privilege, an error of a trigger) is a warning, and the others have their turn all the same.
-- Lock order: the row of edge_sweep (skipping locked), then as _release, without waiting. Errors: none of its own.
create or replace function postmill.sweep_dependents(most integer default 1000) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set lock_timeout = '100ms'
as $$
declare
    duty    postmill.edge_sweep;
    batch   record;
    sources integer := 0;
    targets integer := 0;
begin
    if not exists (select from postmill.edges) and not exists (select from postmill.blocked)
        and not exists (select from postmill.ended)
    then
        return false;
    end if;
    if not exists (select from postmill.edge_sweep) then
        insert into postmill.edge_sweep default values on conflict do nothing;
    end if;
    select * into duty from postmill.edge_sweep where due_at <= clock_timestamp() for update skip locked;
    if not found then
        return false;
    end if;
    for batch in
        select 'ended' as step, page.queue_name as queue, page.fate, array_agg(page.msg_id) as ids
        from (select * from postmill.ended limit most for update skip locked) as page
        group by page.queue_name, page.fate
        union all
        select 'free', page.queue_name, null, array_agg(page.msg_id)
        from (select * from postmill.blocked where waits <= 0 limit most for update skip locked) as page
        group by page.queue_name
    loop
        perform postmill._sweep_step(batch.step, batch.queue, batch.ids, batch.fate);
    end loop;
    for batch in
        select page.queue, array_agg(page.id order by page.id) as ids
        from (select distinct edge.source_queue as queue, edge.source_id as id
              from postmill.edges as edge
              where (edge.source_queue, edge.source_id) > (duty.source_queue, duty.source_id) and not edge.died
              order by 1, 2 limit most) as page
        group by page.queue order by page.queue
    loop
        perform postmill._sweep_step('sources', batch.queue, batch.ids);
        sources := sources + cardinality(batch.ids);
        duty.source_queue := batch.queue;
        duty.source_id := batch.ids[cardinality(batch.ids)];
    end loop;
    for batch in
        select page.queue, array_agg(page.id order by page.id) as ids
        from (select held.queue_name as queue, held.msg_id as id
              from postmill.blocked as held
              where (held.queue_name, held.msg_id) > (duty.target_queue, duty.target_id)
              order by 1, 2 limit most) as page
        group by page.queue order by page.queue
    loop
        perform postmill._sweep_step('targets', batch.queue, batch.ids);
        targets := targets + cardinality(batch.ids);
        duty.target_queue := batch.queue;
        duty.target_id := batch.ids[cardinality(batch.ids)];
    end loop;
    update postmill.edge_sweep
       set due_at = case when greatest(sources, targets) < most then clock_timestamp() + interval '1 second'
                    else clock_timestamp() end,
           source_queue = case when sources < most then '' else duty.source_queue end,
           source_id = case when sources < most then 0 else duty.source_id end,
           target_queue = case when targets < most then '' else duty.target_queue end,
           target_id = case when targets < most then 0 else duty.target_id end;
    return greatest(sources, targets) >= most;
end
$$;

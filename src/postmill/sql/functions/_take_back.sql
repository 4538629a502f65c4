-- Takes the tasks of a run that has ended out of their queues: its retry sends them anew. One that a worker runs loses
-- its lease, and a timer does not end what begins again. What is being settled at this moment is left to that, as are
-- the tasks that undo steps. Nothing is looked for where nothing was under way when the run ended.
-- Called by retry_run, with the run's row locked. Locks: rows of the run's queues (skipping locked ones, since others
-- lock these before the run), gates. Errors: none of its own.
create or replace function postmill._take_back(run postmill.runs) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    its  record;
    gone bigint[];
begin
    for its in
        select coalesce(known.chosen ->> 'queue', version.queue_name) as queue, array_agg(step.step) as steps
        from postmill.steps as step
        join postmill.flow_versions as version on version.version_id = run.version_id
        join postmill.flow_steps as known on known.version_id = run.version_id and known.step = step.step
        where step.run_id = run.run_id
          and (step.state = 'started' or step.state = 'failed' and step.tasks is not null)
        group by 1 order by 1
    loop
        continue when not postmill._has_queue(its.queue);
        execute format(
            'with task as materialized (
                 select msg_id from %1$s
                 where message @> $1 and message ->> ''step'' = any ($2) and not message ? ''undo''
                 order by msg_id for update skip locked
             ), gone as (
                 delete from %1$s where msg_id = any (array(select msg_id from task)) returning msg_id
             )
             select array_agg(msg_id) from gone', postmill._queue_table(its.queue))
        into gone using jsonb_build_object('run', run.run_id), its.steps;
        delete from postmill.gates as gate where gate.queue_name = lower(its.queue) and gate.msg_id = any (gone);
    end loop;
end
$$;

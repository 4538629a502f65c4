-- Why a run does not go on by itself at this moment, in words; null: it does, or has ended. What holds it up longest
-- is told: that it is paused, a step that no worker has, a queue that is paused or has no worker; and else what it
-- waits for, if that is all it does.
-- Called by the view run_list. Takes no locks. Errors: none.
create or replace function postmill._blocked(run postmill.runs) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    its postmill.flow_versions;
    why text;
begin
    if run.ended_at is not null then
        return null;
    elsif run.state = 'paused' then
        return run.reason;
    end if;
    select * into its from postmill.flow_versions as version where version.version_id = run.version_id;
    select format('no worker for version %s', its.version) || coalesce(' (step ' || min(held.step) || ')', '')
    into why
    from postmill.held_tasks as held where held.run_id = run.run_id and held.why = 'version' having count(*) > 0;
    if why is not null then
        return why;
    elsif run.state = 'waiting' then
        return coalesce('waiting for signal ' || array_to_string(run.waits_for, ', '),
                        case when exists (select from postmill.runs as child
                                          where child.parent_run = run.run_id and child.ended_at is null)
                             then 'waiting for a run that it has started' end,
                        (select format('step %s is tried again in %s', paused.step,
                                       postmill._span(greatest(paused.due_at - clock_timestamp(), interval '0')))
                         from postmill.steps as paused
                         where paused.run_id = run.run_id and paused.state = 'waiting' and paused.due_at is not null
                         order by paused.due_at limit 1),
                        'sleeping');
    end if;
    return case when its.kind = 'workflow' then postmill._unserved(its.queue_name)
                else postmill._blocked_steps(run) end;
end
$$;

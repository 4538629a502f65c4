-- Asks for the call of a schedule for one tick, as the role that scheduled it, and writes the run down; returns the
-- call's id, null when the tick has a run already. That the role may still schedule calls is looked at here; its
-- secrets are where every call is written (see _check_secrets). `waits_for`: a call that has to end first.
-- SECURITY DEFINER: whoever fires schedules may ask for what they call, and for no other call as another role.
-- Called by _fire_call and run_schedule, with the schedule's row locked. Locks: none beyond the inserts'. Errors:
-- insufficient_privilege; PM008 what the schedule calls is gone.
create or replace function postmill._make_call(
    schedule_id bigint, tick timestamptz, due_at timestamptz, waits_for bigint
) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    wanted  postmill.scheduled_calls;
    its_run bigint;
    made    bigint;
begin
    insert into postmill.schedule_runs (schedule_id, tick, status)
    values (_make_call.schedule_id, _make_call.tick, 'sent') on conflict do nothing
    returning run_id into its_run;
    if its_run is null then
        return null;
    end if;
    select asked.* into wanted from postmill.scheduled_calls as asked
    where asked.schedule_id = _make_call.schedule_id;
    if wanted.schedule_id is null then
        raise exception 'what it calls is gone' using errcode = 'PM008', hint = 'Schedule the call again.';
    elsif not exists (select from pg_catalog.pg_roles as role where role.rolname = wanted.created_by) then
        raise exception 'the role % is gone', quote_ident(wanted.created_by)
            using errcode = 'insufficient_privilege', hint = 'Schedule the call again, as another role.';
    elsif not has_column_privilege(
        wanted.created_by, 'postmill.scheduled_calls',
        case when wanted.url is null then 'function_name' else 'url' end, 'insert')
    then
        raise exception 'role % may not schedule such a call any more', quote_ident(wanted.created_by)
            using errcode = 'insufficient_privilege', hint = 'See Rights in: postmill docs sql-functions';
    end if;
    insert into postmill.calls (method, function_name, url, headers, body, timeout_ms, max_attempts, idempotency_key,
                                created_by, due_at, run_id, waits_for)
    values (wanted.method, wanted.function_name, wanted.url, wanted.headers, wanted.body, wanted.timeout_ms,
            wanted.max_attempts, case when wanted.max_attempts > 1 then gen_random_uuid()::text end,
            wanted.created_by, _make_call.due_at, its_run, _make_call.waits_for)
    returning call_id into made;
    update postmill.schedule_runs as run set call_id = made where run.run_id = its_run;
    perform pg_notify('postmill:calls', '');
    return made;
end
$$;

-- Ends runs and all that they have started as cancelled; returns those that had not ended before. What they have
-- started and undoes what it has done is left to that: it fails by itself. The parent of one that was started by a run
-- outside is told. Called by cancel_run, steer_runs, purge_queue and drop_queue. Locks: the runs by id, once for all
-- that are known; a run that was started while they were awaited is newer than each, and follows. Then as
-- _tell_parents. Errors: none.
create or replace function postmill._cancel_runs(run_ids bigint[], why text) returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    family bigint[];
    turn   bigint[];
    ended  bigint[] := '{}';
begin
    loop
        with recursive member (run_id) as (
            select unnest(run_ids)
            union
            select child.run_id from member join postmill.runs as child on child.parent_run = member.run_id
            where child.parent_run is not null
        )
        select array_agg(member.run_id) into family from member;
        perform from postmill.runs as run
        where run.run_id = any (family) and run.ended_at is null order by run.run_id for no key update;
        with over as (
            update postmill.runs as run
            set state = 'cancelled', reason = why, waits_for = null, due_at = null, ended_at = clock_timestamp(),
                changed = pg_current_xact_id()
            where run.run_id = any (family) and run.ended_at is null
              and (run.state <> 'undoing' or run.run_id = any (run_ids))
            returning run.run_id
        )
        select coalesce(array_agg(over.run_id order by over.run_id), '{}') into turn from over;
        exit when turn = '{}';
        ended := ended || turn;
    end loop;
    perform postmill._tell_watchers(ended);
    delete from postmill.held_tasks as held where held.run_id = any (ended);
    perform postmill._tell_parents(ended) where ended <> '{}';
    return ended;
end
$$;

-- What workflows say while they run, for whoever watches. `steps`: the step that says it; null: the function itself.
-- `held`: whether the message under which it was said is still its worker's; what was said under another is left out.
-- Called by the statement run_say. Locks: none beyond the inserts'. Errors: none of its own.
create or replace function postmill._say_events(
    run_ids bigint[], steps text[], names text[], contents text[], held boolean[]
) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
    select postmill._tell_watchers(run_ids);
    insert into postmill.run_events (run_id, step, name, value)
    select t.run_id, t.step, t.name, t.content::jsonb
      from unnest(run_ids, steps, names, contents, held) with ordinality
        as t (run_id, step, name, content, is_held, place)
     where t.is_held
       and (select true from postmill.runs as r where r.run_id = t.run_id)  -- not exists: no join over all runs
     order by t.place;
$$;

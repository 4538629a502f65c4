-- What the message of a step says that runs another flow, when it is sent again: the run that was completed; nothing
-- more, so that it starts one; or null: there is one that goes on, whose end will be told.
-- Called by _go_on. Takes no locks. Errors: none.
create or replace function postmill._about_child(run_id bigint, step text) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when last.run_id is null then '{}'
                when last.state = 'completed' then jsonb_build_object('child', last.run_id) end
    from (select) as always
    left join lateral (
        select child.run_id, child.state from postmill.runs as child
        where child.parent_run = _about_child.run_id and child.parent_step = _about_child.step
        order by child.run_id desc limit 1) as last on true;
$$;

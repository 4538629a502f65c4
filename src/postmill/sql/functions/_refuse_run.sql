-- Says that a run of this state can't do what is asked of it. Called by the functions that steer one run. Takes no
-- locks. Errors: PM012, always.
create or replace function postmill._refuse_run(run postmill.runs, asked text, remedy text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'run % is % and can''t be %', run.run_id, run.state, asked using errcode = 'PM012', hint = remedy;
end
$$;

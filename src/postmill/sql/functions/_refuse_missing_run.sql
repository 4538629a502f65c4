-- Says that there is no such run. Called by the functions that are given one. Takes no locks. Errors: PM009, always.
create or replace function postmill._refuse_missing_run(run_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'there is no run %', coalesce(run_id::text, 'null')
        using errcode = 'PM009', detail = 'It was never started, or it ended so long ago that it was deleted.',
              hint = 'postmill run list';
end
$$;

-- Trigger function: refuses what a view can't do, and says what does it; the trigger gives the words.
-- Called by triggers of the views. Takes no locks. Errors: PM003, always.
create or replace function supaqueue._refuse_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform supaqueue._refuse_given(format('supaqueue.%s', tg_table_name), tg_argv[0]);
    return null;
end
$$;
revoke execute on function supaqueue._refuse_change from public;
create or replace trigger refuse_update instead of update on supaqueue.worker for each row
    execute function supaqueue._refuse_change(
        'A worker is free when its call ends. Delete it, and insert one for the other queue.');
create or replace trigger refuse_insert instead of insert on supaqueue.current_job for each row
    execute function supaqueue._refuse_change('Workers take jobs by themselves. Insert into supaqueue.job.');
create or replace trigger refuse_delete instead of delete on supaqueue.current_job for each row
    execute function supaqueue._refuse_change(
        'Delete the row of supaqueue.job to end its call, or call public.end_current_job.');
create or replace trigger refuse_update instead of update on supaqueue.job_dependencies for each row
    execute function supaqueue._refuse_change('Delete the row, and insert another one.');
comment on function supaqueue._refuse_change is 'Facade supaqueue of Postmill: refuses what a view can''t do.';

-- Removes ids of jobs that left no trace, among the 1,000 oldest that are older than a week.
-- Called by _add_job, for one job in a hundred. Locks: rows of listed_job (skipping locked). Errors: none.
create or replace function supaqueue._tidy_jobs() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    delete from supaqueue.listed_job as listed
    where listed.id = any (array(
        select old.id
        from (select candidate.id from supaqueue.listed_job as candidate
              where candidate.created_at < clock_timestamp() - interval '7 days'
              order by candidate.created_at limit 1000 for update skip locked) as old
        where not exists (select from supaqueue._known_job as known where known.id = old.id)));
$$;
revoke execute on function supaqueue._tidy_jobs from public;
comment on function supaqueue._tidy_jobs is 'Facade supaqueue of Postmill: removes ids of jobs that are gone.';

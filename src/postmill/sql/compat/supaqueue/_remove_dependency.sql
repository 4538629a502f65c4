-- Trigger function: a job does not wait for another one any more. It is due when that was the last.
-- Called by deletes from supaqueue.job_dependencies. Lock order: blocked, then as _cut_edges. Errors: none of its own.
create or replace function supaqueue._remove_dependency() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    source supaqueue._known_job := supaqueue._job_of_id(old.source);
    target supaqueue._known_job := supaqueue._job_of_id(old.target);
begin
    perform from postmill.blocked as held
    where held.queue_name = lower(target.queue_name) and held.msg_id = target.msg_id for update;
    perform postmill._cut_edges(
        lower(source.queue_name), array[source.msg_id], 'completed',
        array[lower(target.queue_name)], array[target.msg_id]);
    return old;
end
$$;
revoke execute on function supaqueue._remove_dependency from public;
create or replace trigger remove_dependency instead of delete on supaqueue.job_dependencies for each row
    execute function supaqueue._remove_dependency();
comment on function supaqueue._remove_dependency is 'Facade supaqueue of Postmill: ends the wait for another job.';

-- As the table of Supaqueue's add-on: which job (`target`) waits for which (`source`). A row is gone when the source
-- has succeeded. Written to by _add_dependency and _remove_dependency.
create or replace view supaqueue.job_dependencies with (security_invoker) as
select coalesce(listed.created_at, target_queue.created_at) as created_at, named.source, named.target
from postmill.edges as edge
join supaqueue._call_queue as source_queue on lower(source_queue.name) = edge.source_queue
join supaqueue._call_queue as target_queue on lower(target_queue.name) = edge.target_queue
cross join lateral (
    select supaqueue._job_id(source_queue.id, supaqueue._first_message(source_queue.name, edge.source_id)) as source,
           supaqueue._job_id(target_queue.id, supaqueue._first_message(target_queue.name, edge.target_id)) as target
) as named
left join supaqueue.listed_job as listed on listed.id = named.target
where edge.source_id > 0;
comment on view supaqueue.job_dependencies is 'Facade supaqueue of Postmill: which job waits for which.';

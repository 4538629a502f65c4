-- Which job of Supaqueue that waits (`target`) waits for which (`source`). A source that has succeeded is waited for no
-- more.
-- Called by postmill import supaqueue, in the database that has them. Takes no locks. Errors: insufficient_privilege.
select edge.source::text, edge.target::text
from {schema}.job_dependencies as edge
join {schema}.job as source on source.id = edge.source
join {schema}.job as target on target.id = edge.target
where target.status = 'pending' and source.status is distinct from 'success'
order by edge.target, edge.source

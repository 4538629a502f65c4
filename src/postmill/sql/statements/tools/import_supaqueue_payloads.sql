-- The jobs $1 of Supaqueue whole, those that still wait, each value as text that every server reads.
-- Called by postmill import supaqueue, in the database that has them. Takes no locks. Errors: insufficient_privilege.
select job.id::text, job.payload::text as payload,
       jsonb_build_object('imported', jsonb_build_object(
           'from', $2::text, 'id', job.id, 'created_at', job.created_at, 'attempts', job.attempts))::text as headers
from unnest($1::uuid[]) with ordinality as asked (id, place)
join {schema}.job as job on job.id = asked.id
where job.status = 'pending'
order by asked.place

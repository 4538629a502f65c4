-- Inserts jobs: $1 their queues, $2 their payloads as JSON text. Returns each as JSON text, in the same order: ids are
-- given in the order of the rows.
-- Called by postmill.handlers.supaworker. Locks: none beyond the insert's. Errors: undefined_table without the facade.
with inserted as (
    insert into supaworker.jobs (queue, status, payload)
    select given.queue, 'PENDING', given.payload::jsonb
    from unnest($1::text[], $2::text[]) with ordinality as given (queue, payload, place)
    order by given.place
    returning id, queue, attempts, created_at, payload
)
select jsonb_build_object('id', id, 'queue', queue, 'attempts', attempts, 'created_at', created_at,
                          'payload', payload, 'table', 'jobs')::text
from inserted order by id

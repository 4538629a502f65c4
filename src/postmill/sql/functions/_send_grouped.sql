-- Sends messages of groups, each with its final id and parked, as send does: a row in gates says which group it waits
-- for. The table is locked before ids are drawn: a worker that sees an id given out must see its transaction too.
-- Called by _send_tasks. Lock order: the queue's table (ROW EXCLUSIVE), gates in order of ids. Errors: PM001.
create or replace function postmill._send_grouped(
    queue text, due_at timestamptz[], messages jsonb[], headers jsonb[], groups text[]
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    relation constant regclass := postmill._queue_table(queue);
    sequence constant regclass := pg_get_serial_sequence(relation::text, 'msg_id');
    ids bigint[];
begin
    execute format('lock table %s in row exclusive mode', relation);
    ids := array(select nextval(sequence) from generate_series(1, cardinality(messages)));
    execute format(
        'insert into %s (msg_id, vt, message, headers) overriding system value
         select unnest($1), $2, unnest($3), unnest($4)', relation)
    using ids, postmill._parked_until(), messages, headers;
    perform postmill._park(queue, ids, groups, due_at);
    perform postmill._wake_for(queue, min(due)) from unnest(due_at) as due;
end
$$;

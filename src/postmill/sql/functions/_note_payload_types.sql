-- Note what the payloads of a queue look like: `types` has a JSON Schema by task, under '' that of the default handler.
-- What was noted of other tasks is forgotten. Writes nothing when it is known already, so that many processes may start
-- at once. A hint for people keeps no worker from starting: false, and nothing noted, where the caller may not write
-- it, or the table is just being restored.
-- Called by workers at their start. Locks: the rows of the queue, by task. Errors: none.
create or replace function postmill._note_payload_types(queue text, function_name text, types jsonb) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from postmill.payload_types as known
    where known.queue_name = _note_payload_types.queue and not types ? known.task;
    insert into postmill.payload_types as known (queue_name, task, function_name, schema)
    select _note_payload_types.queue, given.task, _note_payload_types.function_name, given.schema
    from jsonb_each(types) as given (task, schema)
    order by given.task
    on conflict (queue_name, task) do update
    set function_name = excluded.function_name, schema = excluded.schema, noted_at = clock_timestamp()
    where (known.function_name, known.schema) is distinct from (excluded.function_name, excluded.schema);
    return true;
exception when insufficient_privilege or invalid_column_reference then
    return false;
end
$$;

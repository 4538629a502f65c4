-- A page of the messages that are in the queue's own table, newest first; see messages() for the arguments.
-- Messages of one state are looked up by id where they are few; otherwise the queue is walked by id.
-- `headers` is read through to_jsonb(), since older pgmq has no such column.
-- Called by messages. Takes no locks. Errors: PM001.
create or replace function postmill._in_queue(
    queue text, only_state text, max_rows integer, only_id bigint, before_id bigint
) returns table (
    msg_id bigint, state text, read_ct integer, enqueued_at timestamptz, vt timestamptz, worker_id uuid,
    message jsonb, headers jsonb
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    ids   bigint[] := case when only_id is null then postmill._few_ids(queue, only_state, max_rows, before_id) end;
begin
    return query execute format(
        'select * from (
             select queued.msg_id, postmill._state(queued.read_ct, queued.vt, holder.worker_id, %s) as state,
                 queued.read_ct, queued.enqueued_at, queued.vt,
                 case when queued.vt > statement_timestamp() then holder.worker_id end,
                 queued.message, nullif(to_jsonb(queued) -> ''headers'', ''null'')
             from %s as queued
             left join postmill._claimed($1) as holder using (msg_id, read_ct)
             where ($4 is null or queued.msg_id = $4) and ($5 is null or queued.msg_id < $5) %s
         ) as queued
         where $2 is null or state = $2
         order by msg_id desc limit $3',
        postmill._waits_expression(queue, 'queued'), postmill._queue_table(queue),
        case when ids is not null then 'and queued.msg_id = any ($6)' else '' end)
    using queue, only_state, max_rows, only_id, before_id, ids;
end
$$;

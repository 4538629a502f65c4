-- Sends many messages as send_batch does, and says of each whether its key was taken: then the id is that of the
-- message that holds the key.
-- Called by applications, the Python client, send and send_batch. Runs with the caller's rights. Locks and errors as
-- send.
create or replace function postmill.send_jobs(
    queue          text,
    messages       jsonb[],
    delay          interval default null,
    run_at         timestamptz default null,
    headers        jsonb[] default null,
    unique_keys    text[] default null,
    unique_for     interval default null,
    on_conflict    text default 'skip',
    priorities     integer[] default null,
    group_keys     text[] default null,
    after          jsonb[] default null,
    on_source_dead text default 'cancel',
    then_send      jsonb default null,
    else_send      jsonb default null
) returns table (msg_id bigint, existed boolean)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    due_at timestamptz := postmill._due_at(send_jobs.delay, send_jobs.run_at);
    many   integer := cardinality(messages);
    waits  jsonb[];
begin
    perform postmill._check_batch(messages, headers);
    perform postmill._check_jobs(many, unique_keys, unique_for, on_conflict, priorities, group_keys, after,
                                 on_source_dead, then_send, else_send);
    if many = 0 then
        perform postmill._queue_table(queue);  -- _send asks that of the others
        return;
    end if;
    if after is not null then
        -- An empty list is none.
        waits := array(select nullif(wanted.refs, '[]')
                       from unnest(after) with ordinality as wanted (refs, place) order by wanted.place);
    end if;
    return query select sent.msg_id, sent.existed
    from postmill._send(
        queue, messages, due_at,
        postmill._job_headers(many, headers, unique_keys, priorities, group_keys, waits, then_send, else_send),
        unique_keys, unique_for, on_conflict, waits, on_source_dead) as sent;
end
$$;

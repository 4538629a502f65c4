-- Sends many messages in one call and returns their ids in the order of the messages; an empty array sends nothing.
-- `delay` and `run_at` hold for all, and so do unique_for, on_conflict, on_source_dead, then_send and else_send; the
-- arrays have one entry a message (entries may be null). An entry of `after` is a list of 'queue:id', or of '#3' for
-- the third message of this batch. Otherwise as send().
-- Called by applications and the Python client. Runs with the caller's rights. Locks and errors as send.
create or replace function postmill.send_batch(
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
) returns setof bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    due_at timestamptz;
begin
    if num_nonnulls(unique_keys, unique_for, priorities, group_keys, after, then_send, else_send) > 0
       or on_conflict is distinct from 'skip' or on_source_dead is distinct from 'cancel' then
        return query select job.msg_id
        from postmill.send_jobs(queue, messages, send_batch.delay, send_batch.run_at, headers, unique_keys,
                                unique_for, on_conflict, priorities, group_keys, after, on_source_dead, then_send,
                                else_send) as job;
        return;
    end if;
    due_at := postmill._due_at(send_batch.delay, send_batch.run_at);
    perform postmill._queue_table(queue);
    perform postmill._check_batch(messages, headers);
    if cardinality(messages) = 0 then
        return;
    end if;
    if postmill._has_headers() then
        return query select pgmq.send_batch(
            queue_name => queue, msgs => messages, headers => send_batch.headers, delay => due_at);
    elsif array_remove(headers, null) <> '{}' then
        perform postmill._refuse_headers();
    else
        return query select pgmq.send_batch(
            queue_name => queue, msgs => messages, delay => postmill._seconds_until(due_at));
    end if;
end
$$;

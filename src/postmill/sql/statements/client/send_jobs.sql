-- Sends one message for each line of $1, and returns for each an array: its id, and 1 when its unique key was held, by
-- the message of that id; else 0.
-- $1 payloads as JSON text, one a line · $2 when they become visible, ISO 8601 with an offset, or null · $3 else the
-- delay in seconds, or null · $4 what each message asks for, a JSON object a line: headers, unique_key, priority,
-- group_key, after · $5 seconds that the keys are held, or null · $6 on_conflict · $7 on_source_dead · $8, $9 what to
-- send at their end, JSON text or null · $10 the queue. Text in, cast here, as in send.sql.
-- Called by postmill.client. Locks and errors as postmill.send_jobs.
with line as (
    select message::jsonb as message, nullif(option, '{}')::jsonb as option, place
      from unnest(string_to_array($1::text, e'\n'), string_to_array($4::text, e'\n'))
        with ordinality as given (message, option, place)
),
job as materialized (
    select array_agg(message order by place) as messages,
           case when count(option -> 'headers') > 0 then
               array_agg(option -> 'headers' order by place) end as headers,
           case when count(option -> 'unique_key') > 0 then
               array_agg(option ->> 'unique_key' order by place) end as unique_keys,
           case when count(option -> 'priority') > 0 then
               array_agg((option ->> 'priority')::integer order by place) end as priorities,
           case when count(option -> 'group_key') > 0 then
               array_agg(option ->> 'group_key' order by place) end as group_keys,
           case when count(option -> 'after') > 0 then
               array_agg(option -> 'after' order by place) end as after
      from line
)
select array[sent.msg_id, sent.existed::integer]
  from job
 cross join lateral postmill.send_jobs(
           queue => $10::text, messages => job.messages,
           run_at => $2::text::timestamptz, delay => $3::float8 * interval '1 second',
           headers => job.headers, unique_keys => job.unique_keys,
           unique_for => case when job.unique_keys is not null then $5::float8 * interval '1 second' end,
           on_conflict => $6::text, priorities => job.priorities, group_keys => job.group_keys,
           after => job.after, on_source_dead => $7::text,
           then_send => $8::text::jsonb, else_send => $9::text::jsonb) as sent

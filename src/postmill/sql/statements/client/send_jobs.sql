-- Sends one message for each line of $1, and returns for each an array: its id, and 1 when its unique key was held, by
-- the message of that id; else 0.
-- $1 payloads as JSON text, one a line · $2 when they become visible, ISO 8601 with an offset, or null · $3 else the
-- delay in seconds, or null · $4 what the messages ask for: a JSON object that has, of headers, unique_key, priority,
-- group_key and after, those that are asked for, each a list with an entry a message · $5 seconds that the keys are
-- held, or null · $6 on_conflict · $7 on_source_dead · $8, $9 what to send at their end, JSON text or null · $10 the
-- queue. Text in, cast here, as in send.sql.
-- Called by postmill.client. Locks and errors as postmill.send_jobs.
select array[sent.msg_id, sent.existed::integer]
  from (select $4::text::jsonb as lists offset 0) as asked
 cross join lateral postmill.send_jobs(
           queue => $10::text,
           messages => array(select line::jsonb from unnest(string_to_array($1::text, e'\n')) as line),
           run_at => $2::text::timestamptz, delay => $3::float8 * interval '1 second',
           headers => case when lists ? 'headers' then
               array(select nullif(entry, 'null') from jsonb_array_elements(lists -> 'headers') as entry) end,
           unique_keys => case when lists ? 'unique_key' then
               array(select entry from jsonb_array_elements_text(lists -> 'unique_key') as entry) end,
           unique_for => case when lists ? 'unique_key' then $5::float8 * interval '1 second' end,
           on_conflict => case when lists ? 'unique_key' then $6::text else 'skip' end,
           priorities => case when lists ? 'priority' then
               array(select entry::integer from jsonb_array_elements_text(lists -> 'priority') as entry) end,
           group_keys => case when lists ? 'group_key' then
               array(select entry from jsonb_array_elements_text(lists -> 'group_key') as entry) end,
           after => case when lists ? 'after' then
               array(select nullif(entry, 'null') from jsonb_array_elements(lists -> 'after') as entry) end,
           on_source_dead => $7::text,
           then_send => $8::text::jsonb, else_send => $9::text::jsonb) as sent

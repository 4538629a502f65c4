-- Note what the payloads of queue $1 look like, as the worker $2 says: JSON Schemas by task $3. See the function.
-- Called by: handlers, at a worker's start. Locks: rows of payload_types. Errors: none.
select postmill._note_payload_types($1::text, $2::text, $3::text::jsonb) as noted

-- Writes how an attempt at a job has ended: $5 success, retry or failure, and $6 its error. The job is what the
-- message's headers $1 say of it, or else $2; $3 are its attempts, $4 is its payload. All but $3 and $5 are JSON text.
-- Called by postmill.handlers.supaworker.job_worker. Takes no locks. Errors as supaworker._log.
select supaworker._log(
    coalesce($1::text::jsonb -> 'supaworker', $2::text::jsonb)
    || jsonb_build_object('attempts', $3::integer, 'payload', $4::text::jsonb), $5::text, $6::text::jsonb)

-- Makes a session setting that lives as long as the session: behind a transaction pooler it gets lost.
-- Called by doctor. Takes no locks. Errors: none.
select set_config('postmill.doctor', $1::text, false)

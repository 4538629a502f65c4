-- Whether this server's pgmq takes headers and timestamps (1.5 and later; 1.4 takes neither).
-- Called by send, send_batch and replay. Takes no locks. Errors: none.
create or replace function postmill._has_headers() returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select to_regprocedure('pgmq.send(text, jsonb, jsonb, timestamptz)') is not null;
$$;

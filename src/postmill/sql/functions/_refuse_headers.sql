-- Says that headers can't be sent here. Called by send and send_batch where pgmq is older than 1.5. Errors: PM004,
-- always.
create or replace function postmill._refuse_headers() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'the pgmq of this database has no headers'
        using errcode = 'PM004',
              detail = 'Messages have headers since pgmq 1.5.',
              hint = 'Upgrade pgmq, or put what you need into the message itself.';
end
$$;

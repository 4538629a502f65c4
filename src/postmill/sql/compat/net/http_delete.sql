-- Asks for a DELETE request; its body comes last, as pg_net has none. Errors: as postmill.call.
create or replace function net.http_delete(
    url text, params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds integer default 5000,
    body jsonb default null
) returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select postmill.call(url, body, 'DELETE', params, headers, timeout_milliseconds * interval '1 millisecond')
$$;
revoke execute on function net.http_delete from public;
comment on function net.http_delete is 'Facade net of Postmill: asks for a DELETE request.';

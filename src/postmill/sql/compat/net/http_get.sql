-- Asks for a GET request. Errors: as postmill.call.
create or replace function net.http_get(
    url text, params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds integer default 5000
) returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select postmill.call(url, method => 'GET', params => params, headers => headers,
                         timeout => timeout_milliseconds * interval '1 millisecond')
$$;
revoke execute on function net.http_get from public;
comment on function net.http_get is 'Facade net of Postmill: asks for a GET request.';

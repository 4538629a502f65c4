-- Asks for a POST request with a JSON body. Errors: as postmill.call.
create or replace function net.http_post(
    url text, body jsonb default '{}', params jsonb default '{}',
    headers jsonb default '{"Content-Type": "application/json"}', timeout_milliseconds integer default 5000
) returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select postmill.call(url, body, 'POST', params, headers, timeout_milliseconds * interval '1 millisecond')
$$;
revoke execute on function net.http_post from public;
comment on function net.http_post is 'Facade net of Postmill: asks for a POST request.';

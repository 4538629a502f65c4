-- Checks what a call asks for, and returns it as it is written down: the method in capitals, `params` in the URL, a
-- type for a body, and the time limit in milliseconds. `url` is null for a call of a function.
-- Called by call and schedule_call. Takes no locks. Errors: PM003.
create or replace function postmill._call_of(
    url text, body jsonb, method text, params jsonb, headers jsonb, timeout interval, max_attempts integer,
    out verb text, out address text, out fields jsonb, out content bytea, out timeout_ms integer
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    limit_ms constant bigint := ceil(extract(epoch from timeout) * 1000);
begin
    verb := upper(method);
    fields := coalesce(headers, '{}');
    if coalesce(verb not in ('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'), true) then
        raise exception '% is no method of a call', coalesce(quote_literal(left(method, 100)), 'null')
            using errcode = 'PM003', hint = 'One of GET, POST, PUT, PATCH, DELETE and HEAD.';
    end if;
    perform postmill._check_call(coalesce(url, 'http://function'), fields, limit_ms, max_attempts);
    if body is not null and not exists (select from jsonb_object_keys(fields) as name
                                        where lower(name) = 'content-type') then
        fields := '{"Content-Type": "application/json"}' || fields;
    end if;
    address := postmill._with_params(url, params);
    content := convert_to(body::text, 'UTF8');
    timeout_ms := limit_ms;
end
$$;

-- Asks for an HTTP request, and returns its id. It is made after the commit, by a process that makes calls (postmill
-- calls run, serve, dev); its answer stands in call_responses under this id for six hours. `params` become the URL's
-- query. `headers`: an object of texts. A `body` is sent as JSON. {{secret:NAME}} in the URL and in headers is filled
-- in when the call is sent, if the asking role was granted that secret. Redirects are not followed.
-- With `max_attempts` 1 the call is sent once at most: if the process is killed meanwhile, the response says that the
-- outcome is unknown. With more it is sent at least once, and again after an error, a timeout, 429 or 5xx; each attempt
-- has the same header Idempotency-Key, a new one unless it is given.
-- Called by applications and the functions of schema net. Runs with the caller's rights: see
-- docs/reference/sql-functions.md. Locks: none beyond the insert's. Errors: PM003 an argument out of its range,
-- insufficient_privilege a secret that was not granted.
create or replace function postmill.call(
    url             text,
    body            jsonb default null,
    method          text default 'POST',
    params          jsonb default '{}',
    headers         jsonb default '{}',
    timeout         interval default '5 seconds',
    max_attempts    integer default 1,
    idempotency_key text default null
) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    asked record;
    made  bigint;
begin
    asked := postmill._call_of(coalesce(url, ''), body, method, params, headers, timeout, max_attempts);
    insert into postmill.calls (method, url, headers, body, timeout_ms, max_attempts, idempotency_key)
    values (asked.verb, asked.address, asked.fields, asked.content, asked.timeout_ms, max_attempts,
            case when call.max_attempts > 1 then coalesce(call.idempotency_key, gen_random_uuid()::text)
                 else call.idempotency_key end)
    returning call_id into made;
    perform pg_notify('postmill:calls', '');
    return made;
end
$$;

-- The names that people with pg_net use; applied only where no schema net is here already. Calls are made by Postmill's
-- processes; see postmill.call. Unlike pg_net, redirects are not followed, requests outlive a crash of the server, and
-- nothing is open to PUBLIC: what to grant stands in docs/coming-from/pg-net.md. A role sees its own requests and
-- responses, and those of roles that it is a member of.
create schema if not exists net;
comment on schema net is 'Facade of Postmill: the names people know from pg_net.';

do $$
begin
    if to_regtype('net.request_status') is null then
        create type net.request_status as enum ('PENDING', 'SUCCESS', 'ERROR');
        create type net.http_response as (status_code integer, headers jsonb, body text);
        create type net.http_response_result as (status net.request_status, message text, response net.http_response);
    end if;
end
$$;

create or replace view net.http_request_queue with (security_barrier) as
select asked.call_id as id, asked.method, asked.url, asked.headers, asked.body,
       asked.timeout_ms as timeout_milliseconds
from postmill.calls as asked
where exists (select from pg_catalog.pg_roles as role
              where role.rolname = asked.created_by and pg_has_role(role.oid, 'member'));

create or replace view net._http_response with (security_barrier) as
select answer.call_id as id, answer.status_code, answer.content_type, answer.headers, answer.content,
       answer.timed_out, answer.error_msg, answer.created_at as created
from postmill.call_responses as answer
where exists (select from pg_catalog.pg_roles as role
              where role.rolname = answer.created_by and pg_has_role(role.oid, 'member'));

create or replace function net.http_get(
    url text, params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds integer default 5000
) returns bigint
language sql volatile
set search_path = ''
as $$
    select postmill.call(url, method => 'GET', params => params, headers => headers,
                         timeout => timeout_milliseconds * interval '1 millisecond')
$$;

create or replace function net.http_post(
    url text, body jsonb default '{}', params jsonb default '{}',
    headers jsonb default '{"Content-Type": "application/json"}', timeout_milliseconds integer default 5000
) returns bigint
language sql volatile
set search_path = ''
as $$
    select postmill.call(url, body, 'POST', params, headers, timeout_milliseconds * interval '1 millisecond')
$$;

create or replace function net.http_delete(
    url text, params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds integer default 5000,
    body jsonb default null
) returns bigint
language sql volatile
set search_path = ''
as $$
    select postmill.call(url, body, 'DELETE', params, headers, timeout_milliseconds * interval '1 millisecond')
$$;

-- With async => false it waits for the answer. The call must have been committed before, or the wait has no end: so it
-- is refused for one that this transaction has asked for.
create or replace function net._http_collect_response(request_id bigint, async boolean default true)
returns net.http_response_result
language plpgsql volatile
set search_path = ''
as $$
declare
    answer net._http_response;
begin
    loop
        select * into answer from net._http_response as r where r.id = request_id;
        exit when found or async or not exists (select from net.http_request_queue as q where q.id = request_id);
        if exists (select from net.http_request_queue as q
                   join postmill.calls as asked on asked.call_id = q.id
                   where q.id = request_id and asked.xmin = pg_current_xact_id_if_assigned()::xid) then
            raise exception 'request % was asked for in this transaction, and is made after its commit', request_id
                using errcode = 'PM003', hint = 'Commit first, or collect with async => true.';
        end if;
        perform pg_sleep(0.05);
    end loop;
    if answer.id is null then
        if exists (select from net.http_request_queue as q where q.id = request_id) then
            return ('PENDING', 'request is pending processing', null)::net.http_response_result;
        end if;
        return ('ERROR', 'request matching request_id not found', null)::net.http_response_result;
    elsif answer.error_msg is not null then
        return ('ERROR', answer.error_msg, null)::net.http_response_result;
    end if;
    return ('SUCCESS', 'ok', (answer.status_code, answer.headers, answer.content)::net.http_response
           )::net.http_response_result;
end
$$;
revoke execute on all functions in schema net from public;

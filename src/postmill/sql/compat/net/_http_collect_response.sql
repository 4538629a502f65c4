-- With async => false it waits for the answer. The call must have been committed before, or the wait has no end: so it
-- is refused for one that this transaction has asked for.
create or replace function net._http_collect_response(request_id bigint, async boolean default true)
returns net.http_response_result
language plpgsql volatile
set search_path = pg_catalog, pg_temp
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
revoke execute on function net._http_collect_response from public;
comment on function net._http_collect_response is 'Facade net of Postmill: the answer to a request.';

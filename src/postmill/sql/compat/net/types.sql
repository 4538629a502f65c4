-- What net._http_collect_response returns, and the states in it.
do $$
begin
    if to_regtype('net.request_status') is null then
        create type net.request_status as enum ('PENDING', 'SUCCESS', 'ERROR');
        create type net.http_response as (status_code integer, headers jsonb, body text);
        create type net.http_response_result as (status net.request_status, message text, response net.http_response);
    end if;
end
$$;
comment on type net.request_status is 'Facade net of Postmill: the states of a request.';
comment on type net.http_response is 'Facade net of Postmill: what came back.';
comment on type net.http_response_result is 'Facade net of Postmill: what net._http_collect_response returns.';

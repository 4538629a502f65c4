-- Refuses payloads and headers that are no batch. Called by send_batch and send_jobs. Takes no locks. Errors: PM003.
create or replace function postmill._check_batch(messages jsonb[], headers jsonb[]) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if messages is null or array_position(messages, null) is not null then
        raise exception 'a message of the batch is null'
            using errcode = 'PM003', hint = 'For the JSON value null send ''null''::jsonb.';
    elsif cardinality(headers) <> cardinality(messages) then
        raise exception '% headers for % messages', cardinality(headers), cardinality(messages)
            using errcode = 'PM003', hint = 'Give one entry a message, null where a message has none.';
    elsif exists (select from unnest(headers) as header where jsonb_typeof(header) <> 'object') then
        raise exception 'each entry of headers must be a JSON object or null'
            using errcode = 'PM003', hint = 'For example: ''{"tenant": "acme"}''::jsonb.';
    end if;
end
$$;

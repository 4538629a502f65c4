-- Ids among which every message of a state is: those of the claims for running ones, else those that the index on vt
-- gives. Null when there are more than 10,000: then walking the queue by id soon meets some.
-- Called by _in_queue. Takes no locks. Errors: PM001.
create or replace function postmill._few_ids(queue text, wanted_state text) returns bigint[]
language plpgsql stable
set search_path = ''
as $$
declare
    most constant integer := 10000;
    ids  bigint[];
begin
    if wanted_state = 'running' then
        ids := array(select held.msg_id from postmill._claimed(queue) as held limit most + 1);
    elsif wanted_state in ('ready', 'retrying', 'scheduled') then
        execute format(
            'select array(select msg_id from %s where vt %s statement_timestamp() order by vt limit $1)',
            postmill._queue_table(queue), case wanted_state when 'ready' then '<=' else '>' end)
        into ids using most + 1;
    end if;
    return case when cardinality(ids) <= most then ids end;
end
$$;

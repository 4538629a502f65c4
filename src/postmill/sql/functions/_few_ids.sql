-- Ids among which every message of a state is, or enough of them for a page of `max_rows` below `before_id`: those of
-- the claims for running ones, of gates and blocked, newest first, for waiting ones, else those that the index on vt
-- gives. Null when there are more than 10,000: then walking the queue by id soon meets some. Where more than that are
-- parked, parked messages are left out of those whose time is still to come: they wait.
-- Called by _in_queue. Takes no locks. Errors: PM001.
create or replace function postmill._few_ids(queue text, wanted_state text, max_rows integer, before_id bigint)
returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    most   constant integer := 10000;
    walk   constant text := format(
        'select array(select msg_id from %s where %%s order by vt limit %s)',
        postmill._queue_table(queue), most + 1);
    ids    bigint[];
    parked bigint[];
    beyond bigint[];
begin
    if wanted_state = 'running' then
        ids := array(select held.msg_id from postmill._claimed(queue) as held limit most + 1);
    elsif wanted_state = 'waiting' then
        return postmill._newest_waiting(queue, least(max_rows, most)::integer, before_id);
    elsif wanted_state = 'ready' then
        execute format(walk, 'vt <= statement_timestamp()') into ids;
    elsif wanted_state in ('retrying', 'scheduled') then
        execute format(walk, 'vt > statement_timestamp() and vt < postmill._parked_until()') into ids;
        execute format(walk, 'vt = postmill._parked_until()') into parked;
        execute format(walk, 'vt > postmill._parked_until()') into beyond;
        if greatest(cardinality(ids), cardinality(beyond)) <= most then
            return ids || beyond || case when cardinality(parked) <= most then parked end;
        end if;
    end if;
    return case when cardinality(ids) <= most then ids end;
end
$$;

-- The next messages of a queue that an operation's filter is about (or its dead letters, with `letters`): at most
-- `most` with ids above `above` and up to `upto`, and only of `among` where that is given. Looks at `looked` rows at
-- most, so that few matches among many rows end no call late. `reached` is the id up to which all were looked at.
-- A dry run counts by it, and an operation finds by it what it does something to. See _conditions for the filter.
-- Called by plan_operation and _step_operation. Takes no locks. Errors: PM001 no such queue.
create or replace function postmill._matching(
    queue text, letters boolean, filter jsonb, above bigint, upto bigint, most integer,
    among bigint[] default null, looked integer default 10000
) returns table (ids bigint[], reached bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    relation   constant regclass := postmill._queue_table(queue);
    conditions constant text := postmill._conditions(filter, letters);
    number     constant text := case when letters then 'letter_id' else 'msg_id' end;
    page       constant integer := case when conditions = '' then most else looked end;
    source     text;
begin
    source := case when letters then
        'select letter_id as id, msg_id, message, headers, died_at as since, enqueued_at as sent_at,
             concat_ws('': '', error_type, reason) as said
         from postmill.dead_letters where queue_name = $2 and replayed_at is null'
    else format(
        'select msg_id as id, msg_id, message, %s as headers, enqueued_at as since, enqueued_at as sent_at, read_ct, vt,
             null::text as said
         from %s as queued where true', postmill._headers_of(relation), relation) || case when filter ? 'msg_ids' then
        format(' and msg_id between %s and %s', filter #>> '{msg_ids,0}', filter #>> '{msg_ids,1}') else '' end end
        || format(' and %1$I > $3 and %1$I <= $4 %2$s order by 1 limit $6', number, case
            when among is not null then format('and %I = any ($7)', number)
            when filter ? 'ids' then
                format('and %I = any (array(select jsonb_array_elements_text($1 -> ''ids'')::bigint))', number) end);
    execute format('select array(select id from (%s) as item where true %s order by id limit $5)', source, conditions)
    into ids using filter, queue, above, upto, most, page, among;
    reached := ids[most];
    if reached is null then
        execute format('select case when count(*) = $6 then max(id) else $4 end from (%s) as item', source)
        into reached using filter, queue, above, upto, most, page, among;
    end if;
    return next;
end
$$;

-- About when the message with an id was sent: when the first one was that is left with that id or one of the 1,000
-- after it, in the queue or its archive; null when none is left there. So a look costs the same however many dead rows
-- an old transaction keeps.
-- Called by _first_id_since and the statement search_reached. Takes no locks. Errors: PM001.
create or replace function postmill._sent_about(queue text, msg_id bigint) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    archive constant regclass := to_regclass(format('pgmq.%I', lower('a_' || queue)));
    place   text;
    sent    timestamptz;
begin
    for place in
        select format('(select msg_id, enqueued_at from %s where msg_id >= $1 and msg_id <= $1 + 1000
                        order by msg_id limit 1)', relation)
        from unnest(array[postmill._queue_table(queue), archive]) as relation where relation is not null
    loop
        execute 'select enqueued_at from ' || place || ' as first' into sent using msg_id;
        exit when sent is not null;
    end loop;
    return sent;
end
$$;

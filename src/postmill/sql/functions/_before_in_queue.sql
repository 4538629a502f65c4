-- How many messages that are ready were sent before a message, in words, counted up to 1,000 among the 10,000 ids below
-- its own: so a look costs the same however many dead rows an old transaction keeps. No row when there is none. Where a
-- queue is served by priority, others may come first, or later.
-- Called by _causes. Takes no locks. Errors: those of the table.
create or replace function postmill._before_in_queue(relation regclass, msg_id bigint)
returns table (said text, detail jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    most  constant integer := 1000;
    ahead bigint;
begin
    execute format(
        'select count(*) from (
             select from %s as queued
             where queued.msg_id < $1 and queued.msg_id >= $1 - 10000 and queued.vt <= statement_timestamp()
             order by queued.msg_id desc limit $2) as earlier', relation)
    into ahead using msg_id, most + 1;
    if ahead > 0 then
        return query select 'behind ' || case when ahead > most then 'more than ' || most else ahead::text end
            || case when ahead = 1 then ' other that is ready' else ' others that are ready' end,
            jsonb_build_object('ahead', least(ahead, most), 'at_least', ahead > most);
    end if;
end
$$;

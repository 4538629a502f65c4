-- How many messages of a queue wait for others or for a place in their group; how many of them were tried before; and
-- since when the oldest could have run, null when none could yet. Of more than `most` (null: no bound) those that were
-- sent first are counted, and `estimated` says so.
-- Called by _depth. Takes no locks. Errors: none.
create or replace function postmill._count_waiting(
    queue text, relation regclass, most bigint,
    out waiting bigint, out tried bigint, out oldest timestamptz, out estimated boolean
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    rows_there bigint;
begin
    waiting := 0;
    tried := 0;
    estimated := false;
    if not exists (select from postmill._waiting_ids(queue, 1)) then
        return;
    end if;
    execute format(
        'with waits as materialized (
             select msg_id, max(due_at) as due_at, count(*) as entries
             from postmill._waiting_ids($1, $2 + 1) group by msg_id
         ), there as (
             select queued.read_ct, waits.due_at
             from waits join %s as queued using (msg_id)
             left join postmill._claimed($1) as holder using (msg_id, read_ct)
             where queued.vt > statement_timestamp() and holder.worker_id is null
         )
         select count(*), count(*) filter (where read_ct > 0),
             min(due_at) filter (where due_at <= statement_timestamp()),
             (select coalesce(sum(entries), 0) from waits)
         from there',
        relation)
    into waiting, tried, oldest, rows_there using queue, most;
    estimated := coalesce(rows_there > most, false);
end
$$;

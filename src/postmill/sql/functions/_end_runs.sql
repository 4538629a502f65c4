-- Writes down how the messages of schedules ended: `fate` is completed, dead or cancelled. A replayed letter's message
-- is still of its run. Their headers say which run, in numbers: a time as text would depend on the session's time zone.
-- Another client may have put anything there.
-- Called by _ended. Locks: the runs' rows. Errors: none.
create or replace function postmill._end_runs(queue text, headers jsonb[], fate text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    with ended as materialized (
        select case when said.run ->> 'schedule_id' ~ '^[0-9]{1,18}$'
                    then (said.run ->> 'schedule_id')::bigint end as schedule_id,
               case when said.run ->> 'tick_us' ~ '^[0-9]{1,18}$'
                    then timestamptz 'epoch' + (said.run ->> 'tick_us')::bigint * interval '1 microsecond' end as tick
          from (select ended.headers -> 'postmill-run' as run from unnest(headers) as ended (headers)) as said
    )
    update postmill.schedule_runs as run
       set status = case fate when 'completed' then 'succeeded' when 'dead' then 'failed' else fate end,
           ended_at = clock_timestamp()
      from ended
     where run.schedule_id = ended.schedule_id and run.tick = ended.tick and run.queue_name = queue;
$$;

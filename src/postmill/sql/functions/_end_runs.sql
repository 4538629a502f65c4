-- Writes down how the messages of schedules ended: `fate` is completed, dead or cancelled. A replayed letter's message
-- is still of its run.
-- Called by _ended. Locks: the runs' rows. Errors: none: another client may have put any header there.
create or replace function postmill._end_runs(queue text, headers jsonb[], fate text) returns void
language sql volatile
set search_path = ''
as $$
    update postmill.schedule_runs as run
       set status = case fate when 'completed' then 'succeeded' when 'dead' then 'failed' else fate end,
           ended_at = clock_timestamp()
      from unnest(headers) as ended (headers)
     where run.queue_name = queue and run.schedule_id::text = ended.headers #>> '{postmill-run,schedule_id}'
       and to_jsonb(run.tick) = ended.headers #> '{postmill-run,tick}';
$$;

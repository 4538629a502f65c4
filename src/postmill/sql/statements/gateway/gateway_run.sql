-- Run $1 as one JSON text: as in the list, with its input, what it has come to, and its steps. No row: there is none.
-- Called by the gateway. Takes no locks. Errors: none.
select (to_jsonb(found) || postmill.run_result(found.run_id) || jsonb_build_object('input', run.input, 'steps', (
           select coalesce(jsonb_agg(to_jsonb(part) - 'run_id' order by part.place, part.started_at, part.step), '[]')
             from postmill.run_steps as part
            where part.run_id = found.run_id)))::text
  from postmill.run_list as found
  join postmill.runs as run using (run_id)
 where found.run_id = $1::bigint

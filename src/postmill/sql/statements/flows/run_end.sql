-- Ends runs of workflows, and deletes their messages.
-- Called by: engine settler, for flows. $1 to $5 as in the parts tokens and settled_claims, $6 queue, $7 runs, $8
-- numbers of the messages, $9 states, $10 outputs as JSON text, $11 reasons, $12 culprits, $13 steps whose failures
-- were caught, as JSON or null. Returns the ids of the messages that it really deleted. With the flag gated their
-- places in their groups are free with that.
-- Lock order: queue rows by msg_id, then as _end_runs_of_workflows, postmill.claims, gates. Errors: those of
-- _end_runs_of_workflows.
with
--+ taken_out
--+ settled_claims
--+ freed_places
followed as (
    select postmill._end_runs_of_workflows(
               array_agg(t.run_id), array_agg(t.wake), array_agg(t.state), array_agg(t.output), array_agg(t.reason),
               array_agg(t.culprit), array_agg(t.caught)) as ended
      from gone
      join unnest($1::text::bigint[], $7::bigint[], $8::integer[], $9::text[], $10::text[], $11::text[], $12::text[],
                  $13::text[])
        as t (msg_id, run_id, wake, state, output, reason, culprit, caught) using (msg_id)
)
select coalesce(array_agg(msg_id), '{}') as settled, (select ended::text from followed) as followed, $6::text as queue
  from gone

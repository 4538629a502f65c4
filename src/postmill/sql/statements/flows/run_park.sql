-- Lays runs of workflows aside: their messages are deleted, and new ones are sent when something comes for them.
-- Called by: engine settler, for flows. $1 to $5 as in the parts tokens and settled_claims, $6 queue, $7 runs, $8
-- numbers of the messages, $9 waits as JSON text. Returns the ids of the messages that it really deleted. With the flag
-- gated their places in their groups are free with that.
-- Lock order: queue rows by msg_id, then as _park_runs, postmill.claims, gates. Errors: those of _park_runs.
with
--+ taken_out
--+ settled_claims
--+ freed_places
followed as (
    select postmill._park_runs(array_agg(t.run_id), array_agg(t.wake), array_agg(t.waits::jsonb)) as parked
      from gone
      join unnest($1::text::bigint[], $7::bigint[], $8::integer[], $9::text[]) as t (msg_id, run_id, wake, waits)
     using (msg_id)
)
select coalesce(array_agg(msg_id), '{}') as settled, (select parked::text from followed) as followed, $6::text as queue
  from gone

-- Runs that were started by other runs' steps have ended: tells those, and deletes the messages that said so.
-- Called by: engine settler, for flows. $1 to $5 as in the parts tokens and settled_claims, $6 queue, $7 parents, $8
-- their steps, $9 children. Returns the ids of the messages that it really deleted. With the flag gated their places in
-- their groups are free with that.
-- Lock order: queue rows by msg_id, then as _wake_parents, postmill.claims, gates. Errors: those of _wake_parents.
with
--+ taken_out
--+ settled_claims
--+ freed_places
followed as (
    select postmill._wake_parents(array_agg(t.run_id), array_agg(t.step), array_agg(t.child)) as woken
      from gone
      join unnest($1::text::bigint[], $7::bigint[], $8::text[], $9::bigint[]) as t (msg_id, run_id, step, child)
     using (msg_id)
)
select coalesce(array_agg(msg_id), '{}') as settled, (select woken::text from followed) as followed, $6::text as queue
  from gone

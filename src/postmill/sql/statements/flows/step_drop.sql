-- Drop messages of flows for which there is nothing to do: their run has ended, the step has, they are stale or
-- forged. Called by: the settling of such tasks. $1 to $5 as in the parts tokens and settled_claims, $6 queue.
-- Returns the ids that it really dropped. With the flag gated their places in their groups are free with that. Lock
-- order: queue rows by msg_id, postmill.claims, gates. Errors: none of its own.
with
--+ taken_out
--+ settled_claims
--+ freed_places
done as (
    select array_agg(msg_id) as ids from gone
)
select coalesce(ids, '{}') as settled, $6::text as queue from done

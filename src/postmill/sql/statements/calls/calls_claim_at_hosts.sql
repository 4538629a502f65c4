-- Takes calls that are due to some hosts, the longest due of each first: they count as started when this has committed.
-- $1: milliseconds after its time limit until a call counts as lost. $2: at most so many. $3: the hosts, $4: how many
-- to each. Called by: calls, while a host has no place. Locks: the calls' rows, skipping locked ones.
with placed as materialized (
    select due.call_id
      from unnest($3::text[], $4::integer[]) as asked (host, places)
     cross join lateral (
           select call_id from postmill.calls as c
            where started_at is null and host = asked.host and due_at <= statement_timestamp()
--+ not_held_back
            order by due_at, call_id limit asked.places for update skip locked) as due
     limit $2::integer
)
--+ started_calls

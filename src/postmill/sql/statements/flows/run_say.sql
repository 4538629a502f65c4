-- Keeps what workflows say while they run. $1 ids and $2 read_ct (each as the text of an array) of the messages under
-- which it is said, $3 runs, $4 steps, $5 names, $6 values as JSON text.
-- Called by: flows checkpoints. Lock order: none beyond the inserts'. Errors: none of its own.
with
asked as (
    select * from unnest($1::text::bigint[], $2::text::integer[]) with ordinality as t (msg_id, read_ct, place)
),
held as materialized (
    select q.msg_id, q.read_ct from {queue} as q where q.msg_id = any ($1::text::bigint[])
),
fence as (
    select array_agg((msg_id, read_ct) in (select msg_id, read_ct from held) order by place) as held from asked
)
select postmill._say_events($3::bigint[], $4::text[], $5::text[], $6::text[], fence.held) from fence

-- Records outcomes of steps of workflows. $1 ids and $2 read_ct of the messages under which they were made, $3 runs, $4
-- numbers of the messages (each of these as the text of an array), $5 steps, $6 states, $7 outputs as JSON text, $8
-- hashes of arguments, $9 reasons, $10 attempts, $11 seconds until the next one, $12 signals that are taken. An outcome
-- under a message that another client has by now is not written. Rows as _write_checkpoints returns them.
-- Called by: flows checkpoints. Lock order: see _write_checkpoints. Errors: none of its own.
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
select checkpoint.*
  from fence
 cross join lateral postmill._write_checkpoints(
     $3::text::bigint[], $4::text::integer[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
     $10::integer[], $11::float8[], $12::bigint[], fence.held) as checkpoint

-- How a queue stands, for a worker that claims from it. Called by: engine claimer. $1 to $5 as in the part
-- snapshot_columns, $6 a claim made not long ago, $7 the worker. `rivals`: how many workers with a lower id have
-- claimed in the last second. Of what only idle workers ask it says nothing (see idle_snapshot).
-- With the flag gated: the part gated_columns, and `gate_in_s` as in idle_snapshot.
-- Lock order: none. Errors: undefined_table when the queue was dropped.
select
--+ snapshot_columns
       0::double precision as ahead_age_s,
       null::double precision as due_in_s,
       0::bigint as waiting,
       (select count(distinct worker_id) from postmill.claims
         where claim_id > $6::bigint and queue_name = $1::text and worker_id < $7::uuid
           and claimed_at > clock_timestamp() - interval '1 second') as rivals
--+ gated_columns
       , 0::double precision as gate_in_s --? gated
--+ snapshot_source

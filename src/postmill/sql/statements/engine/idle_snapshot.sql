-- How a queue stands, for a worker that has nothing to do. Called by: engine claimer. $1 to $5 as in the part
-- snapshot_columns.
-- `ahead_age_s`: seconds since the first message that is due in the fast lane was sent. `due_in_s`: seconds until the
-- next message falls due, null when none waits. Times are cut to those of this millennium: they may be infinite, and
-- before PostgreSQL 17 no difference of infinite times exists. `waiting`: how many workers want to be woken. Asked by
-- idle workers only: while an old transaction keeps dead rows, these walk over the index entries of those.
-- With the flag gated, for a queue with messages that wait for their group: $6 and $7 as `since` and `unseen` of the
-- function claim_gated; the part gated_columns; `gate_in_s`: seconds until the first of those messages may start, if
-- its group has a place.
-- Lock order: none. Errors: undefined_table when the queue was dropped.
select
--+ snapshot_columns
       (select extract(epoch from clock_timestamp()
                                  - least(greatest(enqueued_at, '2000-01-01'), '3000-01-01'))::double precision
          from {queue} where msg_id > $3::bigint and vt <= (select clock_timestamp())
         order by msg_id limit 1) as ahead_age_s,
       (select extract(epoch from least(vt, '3000-01-01') - clock_timestamp())::double precision
          from {queue} where vt > $2::timestamptz order by vt limit 1) as due_in_s,
       (select count(*) from postmill.idle_workers where queue_name = $1::text) as waiting,
       0::bigint as rivals
--+ gated_columns
       , case when exists (select from postmill.gates --? gated
                            where queue_name = lower($1::text) and msg_id > $7::bigint) then 0 else ( --? gated
          select extract(epoch from least(min(first.rank), '3000-01-01') --? gated
                                    - clock_timestamp())::double precision --? gated
            from postmill.groups as g --? gated
           cross join lateral ( --? gated
                 select gate.rank from postmill.gates as gate --? gated
                  where gate.queue_name = g.queue_name and gate.group_key = g.group_key --? gated
                    and gate.claim_id is null and gate.rank > $6::timestamptz --? gated
                  order by gate.rank limit 1 --? gated
                 ) as first --? gated
           where g.queue_name = lower($1::text)) end as gate_in_s --? gated
--+ snapshot_source

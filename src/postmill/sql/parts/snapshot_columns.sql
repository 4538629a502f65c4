-- What every worker must know of a queue between claims. `history`: what its cursor belongs to (see cursor_hint_read).
-- `behind` and `late`: whether a message is due in that lane. `writers`: the transactions that have written to the
-- queue and not ended. `sequence`: the last id given out.
-- `gated`: messages of it may wait at gates; `limited`: every message of it does. `has_priorities`: workers serve it by
-- priority.
-- Part of the statements busy_snapshot and idle_snapshot, always with the part snapshot_source. $1 queue, $2 the due
-- lane's edge, $3 the cursor's position, $4 and $5 the late lane's ids (above, up to).
--+ cursor_history
       as history,
       clock_timestamp() as now,
       known.paused,
       case when known.gated then true
            else exists (select from postmill.gates where queue_name = lower($1::text)) end as gated,
       known.limited,
       known.has_priorities,
       id.last as sequence,
       writing.writers,
       exists (select from (select from {queue}
                             where vt > $2::timestamptz and vt <= (select clock_timestamp()) and msg_id <= $3::bigint
                             order by vt limit 1) as first) as behind,
       exists (select from (select from {queue}
                             where msg_id > $4::bigint and msg_id <= $5::bigint and vt <= (select clock_timestamp())
                             order by msg_id limit 1) as first) as late,

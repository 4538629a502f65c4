-- Where a new cursor may start in a queue, and the history that it then belongs to. Called by: engine lanes. $1 the
-- queue.
-- `hint` is 0 when nothing is known of this very table, and never above the last id given out (a sequence may have
-- been set back).
-- `history` changes when the server is another one or was restarted, was promoted or restored, when the database or
-- the table is another one, was truncated or rewritten, and when columns that we use came or went. Every role may read
-- all of it. `gated` and `limited` as in the part snapshot_columns. Takes no locks. Errors: undefined_table when the
-- queue was dropped.
select clock_timestamp() as now,
--+ cursor_history
       as history,
--+ cursor_columns
       as columns,
       coalesce((select least(cursor_hint, id.last) from postmill.queues
                  where queue_name = $1::text and cursor_table =
--+ cursor_table
       ), 0) as hint,
       case when known.gated then true
            else exists (select from postmill.gates where queue_name = lower($1::text)) end as gated,
       known.limited
  from (select case when is_called then last_value else 0 end as last from {sequence}) as id
  left join lateral (
       select gated, coalesce(max_running, starts) is not null as limited
         from postmill.queues where queue_name = $1::text
       ) as known on true

-- Whether the run of flow $1 with key $2 was made in this transaction, and not by an earlier start.
-- Called by the gateway, behind a start in its transaction. Takes no locks. Errors: none.
select run.changed = pg_current_xact_id()
  from postmill.runs as run
 where run.flow = $1::text and run.key = $2::text

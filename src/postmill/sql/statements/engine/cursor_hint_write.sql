-- Remember that nothing is alive at or below an id. Called by: engine lanes, now and then. $1 the queue, $2 the
-- history in which that was seen, $3 the id. Writes nothing when the history is another one meanwhile: what was true
-- on a server that failed is not true on the one that took over. The last writer is right: a hint also goes down, when
-- something was found alive below it.
-- Lock order: its row of postmill.queues. Errors: undefined_table when the queue was dropped.
update postmill.queues
   set cursor_hint = $3::bigint, cursor_table =
--+ cursor_table
 where queue_name = $1::text
   and $2::text =
--+ cursor_history

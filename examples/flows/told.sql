-- What a run has said since an event, in order.
select event_id, value
  from postmill.run_events
 where run_id = $1
   and name = $2
   and event_id > $3
 order by event_id

-- Gives each message of the throw-away queue a priority: 1 to 9 in turn, or 5 where $1 is false. Called by
-- postmill.bench between filling the queue and vacuuming it. Locks nothing that others use.
update {queue}
   set headers = jsonb_build_object('postmill-priority', case when $1::boolean then 1 + msg_id % 9 else 5 end)

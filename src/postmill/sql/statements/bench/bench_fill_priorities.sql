-- Gives each message of the throw-away queue a priority: 1 to 9, all as often. Called by postmill.bench between filling
-- the queue and vacuuming it. Locks nothing that others use.
update {queue} set headers = jsonb_build_object('postmill-priority', 1 + msg_id % 9)

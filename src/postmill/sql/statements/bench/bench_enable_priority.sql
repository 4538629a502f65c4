-- Lets workers serve the throw-away queue by priority. $1 the queue. Called by postmill.bench. Locks: as
-- postmill.enable_priority.
select postmill.enable_priority(queue => $1::text)

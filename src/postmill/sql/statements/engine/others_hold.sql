-- Whether other workers hold messages. Called by: engine rescuer, now and then: then it looks whether they are gone, whatever their rows
-- say. $1 this worker. Takes no locks. Errors: none.
select exists (select from postmill.claims where worker_id <> $1::uuid) as held

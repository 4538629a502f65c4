-- Whether the workers of other processes hold messages. Called by: engine rescuer, now and then: then it looks
-- whether they are gone, whatever their rows say. $1 the workers of this process. Takes no locks. Errors: none.
select exists (select from postmill.claims where worker_id <> all ($1::uuid[])) as held

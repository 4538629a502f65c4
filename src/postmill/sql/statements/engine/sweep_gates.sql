-- Mend the gates of a queue. Called by: engine gate sweeper. $1 queue. Locks and errors: postmill.sweep_gates.
select freed, removed, made from postmill.sweep_gates($1::text)

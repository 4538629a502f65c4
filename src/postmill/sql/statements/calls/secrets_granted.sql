-- Those of the secrets $1 that the role $2 may use now. Called by: calls, when a message of a call queue is sent. Takes
-- no locks.
select postmill._granted($1::text[], $2::name) as granted

-- Stops workers from claiming messages of queue $1, because of $2.
-- Called by the command line. Locks and errors as postmill.pause.
select postmill.pause($1::text, $2::text)

-- Whether every run of flow $1 is in state $2. Called by: bench flows. Takes no locks.
select not exists (select from postmill.runs where flow = $1::text and state <> $2::text)

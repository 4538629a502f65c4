-- Whether no run of flow $1 runs. Called by: bench flows. Takes no locks.
select not exists (select from postmill.runs where flow = $1::text and state = 'running')

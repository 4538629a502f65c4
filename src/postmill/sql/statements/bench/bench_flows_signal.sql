-- Sends each run of flow $1 that waits the signal that it waits for. Called by: bench flows. Locks: as
-- postmill.signal_run.
select postmill.signal_run(run_id, 'go_on', 'true') from postmill.runs where flow = $1::text and state = 'waiting'

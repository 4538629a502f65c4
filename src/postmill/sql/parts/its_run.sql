-- The run of each task `t`. A subquery with an offset is never flattened: so the few tasks lead to the rows, by their
-- key, and never a walk through all runs, whatever the statistics of an empty table say.
-- Part of functions of flows. Gives `run`.
     cross join lateral (select * from postmill.runs as r where r.run_id = t.run_id offset 0) as run

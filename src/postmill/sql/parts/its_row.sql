-- The row of each task's step, if it has one, in its run, and where it is: `at`. See the part its_run for the form.
-- Part of functions of flows. Follows `t`; gives `s`.
     cross join lateral (
           select k.*, k.ctid as at
             from postmill.steps as k where k.run_id = t.run_id and k.step = t.step offset 0) as s

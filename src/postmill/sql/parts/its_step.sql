-- The step of each task `t` as its `run`'s version has it. See the part its_run for the form.
-- Part of functions of flows. Gives `step`.
     cross join lateral (
           select * from postmill.flow_steps as d
            where d.version_id = run.version_id and d.step = t.step offset 0) as step

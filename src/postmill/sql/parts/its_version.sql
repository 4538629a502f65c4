-- The version that each `run` is on. See the part its_run for the form.
-- Part of functions of flows. Gives `version`.
     cross join lateral (
           select * from postmill.flow_versions as v where v.version_id = run.version_id offset 0) as version

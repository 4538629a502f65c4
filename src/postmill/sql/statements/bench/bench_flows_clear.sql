-- Removes flow $1 with its runs. Called by: bench flows. Locks their rows.
with run as (
    delete from postmill.runs where flow = $1::text
),
step as (
    delete from postmill.flow_steps
     where version_id in (select version_id from postmill.flow_versions where flow = $1::text)
)
delete from postmill.flow_versions where flow = $1::text

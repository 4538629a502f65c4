-- The names of flows, for the shell. Called by the command line's completion. Takes no locks.
select distinct flow from postmill.flow_versions order by flow limit 200

-- Every flow with its newest version, and how many of its runs have not ended; those whose names come behind $1, at
-- most $2.
-- Called by the command line. Takes no locks. Errors: none.
select newest.flow, newest.version, newest.kind, newest.queue_name as queue, newest.registered_at,
       (select count(*) from postmill.flow_steps as step where step.version_id = newest.version_id) as steps,
       (select count(*) from postmill.runs as run
        where run.ended_at is null and run.version_id in (
            select each.version_id from postmill.flow_versions as each where each.flow = newest.flow)) as live
  from (select distinct on (version.flow) version.* from postmill.flow_versions as version
         where version.flow > $1::text
         order by version.flow, version.version desc) as newest
 order by newest.flow
 limit $2::integer

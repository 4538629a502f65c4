-- Version $2 of the flow $1, by default the newest. Called by the command line. Takes no locks. Errors: none.
select version.flow, version.version, version.kind, version.queue_name as queue, version.created_at,
       version.registered_at, coalesce(version.retention, interval '30 days') as retention, version.deadline,
       version.accepts as input, version.shape,
       (select count(*) from postmill.runs as run
        where run.ended_at is null and run.version_id = version.version_id) as live,
       array(select each.version from postmill.flow_versions as each
             where each.flow = version.flow order by each.version) as versions
  from postmill.flow_versions as version
 where version.flow = $1::text and ($2::integer is null or version.version = $2::integer)
 order by version.version desc
 limit 1

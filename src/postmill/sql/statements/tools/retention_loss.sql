-- What queue $3 would lose soon if it kept what is finished for $1 seconds (null: for ever) and $2 archived messages at
-- most (null: any number): whether its archive has older or more messages, and whether there are older results, or its
-- lowest message with a failure has an older one. One look at an index each. {archive} is its archive. Called by db
-- tools. Takes no locks. Errors: none.
select exists (select from {archive} where archived_at < clock_timestamp() - $1::float8 * interval '1 second')
           or coalesce(postmill._archive_excess($3::text, $2::bigint) > 0, false) as archived,
       coalesce((select failed_at < clock_timestamp() - $1::float8 * interval '1 second' from postmill.failures
                  where queue_name = $3::text order by msg_id limit 1), false)
           or exists (select from postmill.results
                       where queue_name = $3::text
                         and completed_at < clock_timestamp() - $1::float8 * interval '1 second') as history

-- Hosts to which calls run or wait, and those whose calls had no answer, or one of 500 and above, in the last five
-- minutes; the failing ones first. Counts at most 10,000 calls of each kind. Called by the command line. Takes no
-- locks. Errors: none.
select host, sum(running)::bigint as running, sum(waiting)::bigint as waiting, sum(failed)::bigint as failed,
       max(last_error) as last_error
  from ((select host, count(started_at) as running, count(*) - count(started_at) as waiting, 0 as failed,
                null as last_error
           from (select host, started_at from postmill.calls limit 10000) as asked group by host)
        union all
        (select host, 0, 0, count(*), (array_agg(error order by created_at desc))[1]
           from (select coalesce('function:' || function_name, substring(url from '^[^/?#]*//[^/?#]*')) as host,
                        created_at, coalesce(error_msg, 'HTTP ' || status_code) as error
                   from postmill.call_responses
                  where created_at > clock_timestamp() - interval '5 minutes'
                    and (status_code is null or status_code >= 500)
                  order by created_at desc limit 10000) as failed group by host)) as counted
 group by host
 order by failed desc, running desc, host limit $1::integer

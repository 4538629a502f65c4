-- Hosts whose calls have failed in the last five minutes, and how many calls had no answer there or one of 500 and
-- above; most first. Called by the command line. Takes no locks. Errors: none.
select substring(url from '^[^/?#]*//[^/?#]*') as host, count(*) as failed, max(created_at) as last_at,
       (array_agg(coalesce(error_msg, 'HTTP ' || status_code) order by created_at desc))[1] as last_error
  from postmill.call_responses
 where created_at > clock_timestamp() - interval '5 minutes' and (status_code is null or status_code >= 500)
 group by 1 order by 2 desc, 1 limit $1::integer

-- Seconds until the next call is due that is not sent yet; null when there is none. With $1 calls of functions too, and
-- none that waits for another. And whether calls were lost, or answers are older than they are kept: then tidy_calls is
-- due. Called by: calls, each time it looks. Takes no locks.
select (select extract(epoch from due_at - clock_timestamp())::double precision
          from postmill.calls as c
         where started_at is null and ($1::boolean or function_name is null)
--+ not_held_back
         order by due_at limit 1) as due_s,
       exists (select from postmill.calls where started_at is not null and lost_at < statement_timestamp())
       or exists (select from postmill.call_responses where created_at < postmill.now() - interval '6 hours')
       as is_untidy

-- Seconds until the next call that waits is due, null when there is none; and whether calls were lost, or answers are
-- older than they are kept: then tidy_calls is due. Called by: calls, each time it looks. Takes no locks.
select (select extract(epoch from due_at - clock_timestamp())::double precision
          from postmill.calls where started_at is null order by due_at limit 1) as due_s,
       exists (select from postmill.calls where started_at is not null and lost_at < statement_timestamp())
       or exists (select from postmill.call_responses where created_at < postmill.now() - interval '6 hours')
       as is_untidy

-- The pages that were given up, with the reason and what the last attempt met, as `postmill dead show` tells it too.
select p.url, d.attempts, d.reason, coalesce(last.error_message, '') as last_error
from scraper.pages p
join postmill.dead d on d.queue_name = 'pages' and d.message ->> 'url' = p.url and d.died_at >= p.sent_at
left join lateral (
    select f.error_message
    from postmill.failed_attempts f
    where f.queue_name = d.queue_name and f.msg_id = d.msg_id
    order by f.failure_id desc
    limit 1
) last on true
order by d.attempts, p.url;

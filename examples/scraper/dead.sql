-- The pages that were given up, with the reason, as `postmill dead show` tells it too.
select p.url, d.attempts, d.reason
from scraper.pages p
join postmill.dead d on d.queue_name = 'pages' and d.message ->> 'url' = p.url and d.died_at >= p.sent_at
order by d.attempts, p.url;

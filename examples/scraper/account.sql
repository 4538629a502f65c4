-- Where the crawl stands, in one snapshot: a page is done, dead, or still on its way; nothing else exists.
-- A page's links are sent in the transaction that makes it done, so "all are done or dead" can't be seen too early.
with page as (
    select p.*, d.letter_id, d.attempts as attempts_of_dead, d.reason,
           extract(epoch from coalesce(p.done_at, d.died_at) - min(p.sent_at) over ())::float8 as ended_s
    from scraper.pages p
    left join postmill.dead d
           on d.queue_name = 'pages' and d.message ->> 'url' = p.url and d.died_at >= p.sent_at
          and d.replayed_at is null
)
select count(*)                                                as sent,
       count(done_at)                                          as done,
       count(letter_id)                                        as dead,
       count(*) filter (where done_at is null
                          and letter_id is null)               as waiting,
       count(*) filter (where done_at is not null
                          and letter_id is not null)           as both,
       coalesce(sum(links), 0)                                 as links,
       coalesce(sum(bytes), 0)                                 as bytes,
       coalesce(sum(coalesce(attempts, attempts_of_dead) - 1),
                0)                                             as retries,
       (select count(*) from scraper.definitions
        where kind = 'function')                               as functions,
       (select count(*) from scraper.definitions
        where kind = 'class')                                  as classes,
       percentile_disc(0.5)  within group (order by waited_ms) as p50_ms,
       percentile_disc(0.95) within group (order by waited_ms) as p95_ms,
       percentile_disc(0.95) within group (order by ended_s)   as most_s,
       max(ended_s)                                            as all_s
from page;

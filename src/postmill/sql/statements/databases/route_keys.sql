-- The keys of the next $2 messages behind the id $1: how many messages have each, and which of them nobody has taken
-- yet. Called by route status and route move. Locks: none. Errors: undefined_table where there is no such queue.
select page.key, count(*) as messages, max(page.msg_id) as last_id,
       array_agg(page.msg_id order by page.msg_id) filter (where page.read_ct = 0) as fresh
from (select each.msg_id, each.read_ct, each.headers ->> 'postmill-shard-key' as key
      from {queue} as each where each.msg_id > $1 order by each.msg_id limit $2) as page
group by page.key

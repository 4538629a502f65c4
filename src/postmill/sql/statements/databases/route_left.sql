-- Why those of messages $2 of queue $1 that are still there were not taken out by route_take: how many for each reason.
-- Who has several is counted by the first. Called by route move. Locks: none. Errors: undefined_table where there is no
-- such queue.
select count(*) filter (where reason = 'tried') as tried,
       count(*) filter (where reason = 'unique_key') as unique_key,
       count(*) filter (where reason = 'group_key') as group_key,
       count(*) filter (where reason = 'bound') as bound,
       count(*) filter (where reason = 'awaited') as awaited,
       count(*) filter (where reason = 'held') as held
from (select case
                 when waiting.read_ct > 0 then 'tried'
                 when waiting.headers ? 'postmill-unique-key' then 'unique_key'
                 when waiting.headers ? 'postmill-group'
                      or exists (select from postmill.gates as gate
                                 where gate.queue_name = lower($1::text) and gate.msg_id = waiting.msg_id)
                      then 'group_key'
                 when waiting.headers ?| array['postmill-after', 'postmill-then', 'postmill-else']
                      or exists (select from postmill.edges as edge
                                 where edge.source_queue = lower($1::text) and edge.source_id = waiting.msg_id)
                      then 'bound'
                 when exists (select from postmill.waiters as waiter
                              where waiter.queue_name = $1::text and waiter.msg_id = waiting.msg_id) then 'awaited'
                 else 'held'
             end as reason
      from {queue} as waiting where waiting.msg_id = any ($2::bigint[])) as each

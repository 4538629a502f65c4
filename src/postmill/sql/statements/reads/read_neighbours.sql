-- Messages that message $2 of queue $1 waits for (is_source), and those that wait for it, the first $3 of each. `died`:
-- the source is dead, and its replay is waited for.
-- Called by the reads. Takes no locks.
(
    select true as is_source, source_queue as queue, source_id as msg_id, died
    from postmill.edges
    where target_queue = $1::text and target_id = $2::bigint
    order by source_queue, source_id
    limit $3::bigint
)
union all
(
    select false, target_queue, target_id, died
    from postmill.edges
    where source_queue = $1::text and source_id = $2::bigint
    order by target_queue, target_id
    limit $3::bigint
)

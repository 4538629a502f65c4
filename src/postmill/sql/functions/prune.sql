-- Deletes a bounded batch of what is older than its queue's retention (set_retention): archived messages, failed
-- attempts, results, cancellations, replayed letters; and workers gone for seven days. Unique keys that nothing holds
-- go at once; they count as history. Then the oldest archived messages, where there are more than the queue is to keep.
-- On the way it notes how full the queue is, counts its errors by the hour, and makes what is known of its past
-- coarser. One queue a call, whichever is due, and only when no other session prunes it. Time is postmill.now().
-- Returns one row that says what was done and whether to come back at once; no row when nothing is due.
-- Called by: every worker's heartbeat now and then; anyone may. Ends after `max_rows` or 0.2 s, and waits for a lock
-- at most 0.1 s: a queue that can't be pruned now (locked, no privilege, a foreign key to its archive) is tried again
-- in a minute, with a warning if the reason does not pass by itself.
-- Lock order: the queue's row in prunings (skipping locked), then rows of one kind after the other. Errors: none of
-- its own.
create or replace function postmill.prune(max_rows integer default 5000)
returns table (queue_name text, archived bigint, failures bigint, history bigint, workers bigint, more boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
#variable_conflict use_column
declare
    page        constant integer := least(max_rows, 500);
    ends_at     constant timestamptz := clock_timestamp() + interval '0.2 seconds';
    duty        postmill.prunings;
    archive_horizon timestamptz;  -- null: nothing of it is old enough, ever
    history_horizon timestamptz;
    most_archived   bigint;
    excess          bigint;       -- null: not yet looked for
    reached         timestamptz;  -- how far the archive was walked through in this call
    step        record;
    folded          timestamptz;  -- up to there its history is by the hour
    counted     bigint;       -- up to there its failures are counted in the hours of their errors
    -- Of the archive, failures, keys, the rest, archived ones that are too many, errors to count.
    more_kinds  boolean[] := array[true, true, true, true, true, true];
begin
    begin
        insert into postmill.prunings (queue_name)
        select known.queue_name
        from (select q.queue_name from postmill.queues as q
              union
              select w.queue_name from postmill.workers as w
              union
              select k.queue_name from postmill._queues_with_keys() as k) as known
        where not exists (select from postmill.prunings as p where p.queue_name = known.queue_name)
        on conflict (queue_name) do nothing;
    exception when lock_not_available or invalid_column_reference then
        -- Another session has just inserted them and prunes; or the table is being restored and has no key yet.
        return;
    end;
    select p.* into duty from postmill.prunings as p
    where p.due_at <= clock_timestamp() order by p.due_at limit 1 for update skip locked;
    if duty.queue_name is null then
        return;
    end if;
    -- Without a row in queues it is a queue of another client, known only by a worker of ours that was there.
    select postmill.now() - q.archive_retention,
           postmill.now() - case when q.queue_name is null then interval '7 days' else q.history_retention end,
           q.archive_max_rows
    into archive_horizon, history_horizon, most_archived
    from (select) as always left join postmill.queues as q on q.queue_name = duty.queue_name;
    queue_name := duty.queue_name;
    perform postmill._sample_queue(queue_name);
    archived := 0; failures := 0; history := 0; workers := 0;
    begin
        workers := postmill._prune_workers(page);
        perform postmill._prune_waiters(page);
        perform postmill._prune_operations(page);
        perform postmill._prune_gates(page);
        folded := postmill._fold_history(queue_name, duty.folded_to);
        counted := duty.counted_failure;
        while true = any (more_kinds) and clock_timestamp() < ends_at and archived + failures + history < max_rows loop
            if more_kinds[1] then
                select * into step
                from postmill._prune_archive(queue_name, archive_horizon, page, duty.archive_position);
                archived := archived + step.pruned;
                more_kinds[1] := step.more;
                reached := step.start;
                duty.archive_position := case when step.more then step.start else '-infinity' end;
            end if;
            if more_kinds[6] then
                select * into step from postmill._count_errors(queue_name, page, counted);
                counted := step.start;
                more_kinds[6] := step.more;
            end if;
            if more_kinds[2] then
                select * into step
                from postmill._prune_failures(queue_name, history_horizon, page, duty.failure_position);
                failures := failures + step.pruned;
                more_kinds[2] := step.more;
                duty.failure_position := case when step.more then step.start else 0 end;
            end if;
            if more_kinds[3] then
                select * into step from postmill._prune_keys(queue_name, page, duty.key_position);
                history := history + step.pruned;
                more_kinds[3] := step.more;
                duty.key_position := step.start;
            end if;
            if more_kinds[4] then
                select * into step from postmill._prune_history(queue_name, history_horizon, page);
                history := history + step.pruned;
                more_kinds[4] := step.more;
            end if;
            if more_kinds[5] and not more_kinds[1] then
                excess := coalesce(excess, postmill._archive_excess(queue_name, most_archived));
                select * into step
                from postmill._prune_archive(queue_name, 'infinity', least(page, excess)::integer, reached);
                archived := archived + step.pruned;
                excess := excess - step.pruned;
                reached := step.start;
                more_kinds[5] := step.more and excess > 0;
                duty.archive_position := case when more_kinds[5] then reached else '-infinity' end;
            end if;
        end loop;
    exception
        when others then  -- also a foreign key or a trigger of somebody's own: the next queue has its turn all the same
            if sqlstate not in ('55P03', '40P01') then  -- lock_not_available, deadlock_detected: they pass
                raise warning 'queue % can''t be pruned: %', quote_literal(duty.queue_name), sqlerrm;
            end if;
            archived := 0; failures := 0; history := 0; workers := 0; more_kinds := array[false];
            duty.archive_position := '-infinity'; duty.failure_position := 0; duty.key_position := '';
            folded := duty.folded_to; counted := duty.counted_failure;
    end;
    more := true = any (more_kinds);
    update postmill.prunings as p
       set due_at = case when more then clock_timestamp() else clock_timestamp() + interval '1 minute' end,
           archive_position = duty.archive_position, failure_position = duty.failure_position,
           key_position = duty.key_position, folded_to = folded, counted_failure = counted
     where p.queue_name = duty.queue_name;
    return next;
end
$$;

-- Limits the groups of a queue, each by itself, over all workers: how many messages of a group run at once, and how
-- many start in any window of `per`. With `group_key` for this group only: what is left out is then as for the others.
-- Each call says all of it; with nothing to say the limits are removed. It holds for every claim from then on; what
-- runs is not interrupted, and counts.
-- Called by people and the command line. Locks: the queue's row in postmill.queues, then the one in postmill.groups.
-- Errors: PM001 no such queue, PM003 a limit that can't be kept or a key that can't be, PM004 a pgmq without headers.
create or replace function postmill.limit_groups(
    queue text, max_running integer default null, starts integer default null, per interval default null,
    group_key text default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    perform postmill._named_table(limit_groups.queue);
    perform postmill._check_limits(limit_groups.max_running, limit_groups.starts, limit_groups.per);
    if not postmill._has_headers() then
        perform postmill._refuse_headers();
    elsif group_key = '' or length(group_key) > 200 then
        raise exception 'a group''s key has 1 to 200 characters, not %', length(group_key)
            using errcode = 'PM003', hint = 'Leave it out to limit every group; limit_queue limits the whole queue.';
    elsif group_key is null then
        insert into postmill.queues as row (queue_name, owned, group_max_running, group_starts, group_per)
        values (queue, false, limit_groups.max_running, limit_groups.starts, limit_groups.per)
        on conflict (queue_name) do update
        set group_max_running = excluded.group_max_running, group_starts = excluded.group_starts,
            group_per = excluded.group_per;
    else
        insert into postmill.queues (queue_name, owned) values (queue, false) on conflict (queue_name) do nothing;
        insert into postmill.groups as row (queue_name, group_key, max_running, starts, per)
        values (lower(queue), limit_groups.group_key, limit_groups.max_running, limit_groups.starts, limit_groups.per)
        on conflict (queue_name, group_key) do update
        set max_running = excluded.max_running, starts = excluded.starts, per = excluded.per;
    end if;
    perform pg_notify(('postmill.' || queue)::name::text, 'limit');
end
$$;

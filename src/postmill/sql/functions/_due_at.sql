-- When a message becomes visible: a delay from now, or a moment, or now. Server time, so a sender's wrong clock is no
-- matter.
-- Called by send and send_batch. Takes no locks. Errors: PM003.
create or replace function postmill._due_at(delay interval, run_at timestamptz) returns timestamptz
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if delay is not null and run_at is not null then
        raise exception 'delay and run_at exclude each other'
            using errcode = 'PM003', hint = 'Give one of them.';
    elsif delay < interval '0' then
        raise exception 'delay is negative: %', delay
            using errcode = 'PM003', hint = 'Leave delay out to send now.';
    elsif not isfinite(delay) or delay > interval '7900 years' then
        raise exception 'delay is no length of time that ends: %', delay
            using errcode = 'PM003', hint = 'To hold a message back, pause its queue.';
    elsif not isfinite(run_at) then
        raise exception 'run_at is not a moment: %', run_at
            using errcode = 'PM003', hint = 'Leave run_at out to send now.';
    elsif coalesce(run_at, clock_timestamp() + coalesce(delay, interval '0')) >= postmill._parked_until() then
        raise exception 'a message can''t wait until %', coalesce(run_at, clock_timestamp() + delay)
            using errcode = 'PM003',
                  hint = 'Give a moment before the year 9999. To hold messages back, pause the queue.';
    end if;
    return coalesce(run_at, clock_timestamp() + coalesce(delay, interval '0'));
end
$$;

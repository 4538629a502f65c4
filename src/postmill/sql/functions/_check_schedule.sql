-- Refuses what can be no schedule, as far as the database can tell: the expression itself is read by the scheduler.
-- Called by schedule. Takes no locks. Errors: PM003.
create or replace function postmill._check_schedule(
    name text, schedule text, message jsonb, timezone text, overlap text, catch_up text, jitter interval, options jsonb
) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    wrong text;
    try   text;
begin
    select said.wrong, said.try into wrong, try
    from (values
        (coalesce(length(name), 0) not between 1 and 200,
         'the name of a schedule has 1 to 200 characters', 'For example: ''nightly-report''.'),
        (coalesce(length(trim(schedule)), 0) not between 1 and 200,
         'there is no schedule', 'For example: ''*/5 * * * *'', ''@daily'' or ''30 seconds''.'),
        (message is null, 'the message is null', 'For the JSON value null send ''null''::jsonb.'),
        (coalesce(overlap, '') not in ('skip', 'queue', 'allow'),
         'overlap is skip, queue or allow', 'The default is skip.'),
        (coalesce(catch_up, '') not in ('none', 'one', 'all'),
         'catch_up is none, one or all', 'The default is one.'),
        (jitter is null or jitter < interval '0' or jitter > interval '1 day',
         'jitter is 0 to one day', 'For example: ''30 seconds''.'),
        (not exists (select from pg_catalog.pg_timezone_names as zone where zone.name = timezone),
         format('%L is not the name of a time zone', timezone), 'For example: ''Europe/Berlin'' or ''UTC''.')
    ) as said (holds, wrong, try)
    where said.holds
    limit 1;
    if wrong is not null then
        raise exception '%', wrong using errcode = 'PM003', hint = try;
    end if;
    perform postmill._check_schedule_options(options);
end
$$;

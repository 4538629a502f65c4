-- Refuses what the messages of a schedule can't ask for. Called by _check_schedule. Takes no locks. Errors: PM003.
create or replace function postmill._check_schedule_options(options jsonb) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    types constant jsonb := '{"headers": "object", "delay_s": "number", "priority": "number", "group_key": "string",
        "unique_key": "string", "unique_for_s": "number", "on_conflict": "string", "then_send": "object",
        "else_send": "object"}';
    one_message constant text[] := '{after, on_source_dead, run_at}';
    longest_s   constant float8 := 36525 * 86400.0;  -- a hundred years: a longer time is a mistake in the unit
    wrong text;
    try   text;
begin
    if jsonb_typeof(options) is distinct from 'object' then
        raise exception 'options is no JSON object' using errcode = 'PM003', hint = 'For example: ''{"priority": 5}''.';
    end if;
    select said.wrong, said.try into wrong, try
    from jsonb_each(options) as given (name, value),
    lateral (values
        (given.name = any (one_message),
         format('%s is for one message, and each tick of a schedule sends another', given.name),
         'To wait for the message of the tick before: overlap => ''queue''; later than the tick: delay_s; a message '
         'after each: then_send.'),
        (not types ? given.name, format('options has no %s', quote_literal(given.name)),
         'It may have ' || (select string_agg(known, ', ') from jsonb_object_keys(types) as known) || '.'),
        (jsonb_typeof(given.value) not in ('null', types ->> given.name),
         format('%s is %s', given.name, given.value), format('It is a JSON %s.', types ->> given.name)),
        (given.name in ('delay_s', 'unique_for_s') and jsonb_typeof(given.value) = 'number'
         and given.value::numeric not between 0 and longest_s::numeric,
         format('%s is %s', given.name, given.value), 'It is a number of seconds, up to a hundred years.')
    ) as said (holds, wrong, try)
    where said.holds
    limit 1;
    if wrong is not null then
        raise exception '%', wrong using errcode = 'PM003', hint = try;
    end if;
    perform postmill._check_jobs(
        1, nullif(array[options ->> 'unique_key'], array[null::text]),
        (options ->> 'unique_for_s')::float8 * interval '1 second', coalesce(options ->> 'on_conflict', 'skip'),
        array[case when (options -> 'priority')::text ~ '^[0-9]$' then (options ->> 'priority')::integer
                   when jsonb_typeof(options -> 'priority') = 'number' then -1 end],
        array[options ->> 'group_key'], null, 'cancel',
        nullif(options -> 'then_send', 'null'), nullif(options -> 'else_send', 'null'));
end
$$;

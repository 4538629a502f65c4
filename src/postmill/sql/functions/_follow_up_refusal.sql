-- What is wrong with a message to send later, and what to try; null where nothing is. `part`: then_send or else_send,
-- `wanted`: its JSON, or null. The rules are those of a message that is sent now.
-- Called by _check_jobs. Takes no locks. Errors: none.
create or replace function postmill._follow_up_refusal(part text, wanted jsonb) returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when wanted is null then null
        when postmill._is_follow_up(wanted) is not true then
            array[part || ' is no message',
                  'For example: ''{"queue": "emails", "message": {"to": "ada"}}''::jsonb.']
        when wanted - fields <> '{}' then
            array[format('%s has no field %L', part,
                         (select min(name) from jsonb_object_keys(wanted - fields) as name)),
                  'Beside queue and message it has delay_s, headers, unique_key, priority and group_key.']
        when jsonb_typeof(wanted -> 'delay_s') not in ('null', 'number') or jsonb_typeof(wanted -> 'delay_s') = 'number'
             and (wanted ->> 'delay_s')::numeric not between 0 and longest_s then
            array[format('delay_s of %s is no length of time', part),
                  'It is a number of seconds, up to a hundred years.']
        when jsonb_typeof(wanted -> 'headers') not in ('null', 'object') then
            array[format('headers of %s is no JSON object', part), 'For example: {"tenant": "acme"}.']
        when (wanted -> 'priority')::text !~ '^(null|[0-9])$' then
            array[format('priority of %s is not 0 to 9', part), 'The higher the sooner.']
        else (
            select array[format('%s of %s has not 1 to 200 characters', field, part),
                         'Give a digest of what is longer.']
            from unnest(array['unique_key', 'group_key']) as field
            where jsonb_typeof(wanted -> field) not in ('null', 'string')
               or length(wanted ->> field) not between 1 and 200
            limit 1)
    end
    from (values ('{queue, message, delay_s, headers, unique_key, priority, group_key}'::text[],
                  36525 * 86400.0)) as rule (fields, longest_s);
$$;

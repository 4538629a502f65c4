-- Refuses what a message can't ask for. Called by send and send_jobs. Takes no locks. Errors: PM003.
create or replace function postmill._check_jobs(
    messages integer, unique_keys text[], unique_for interval, on_conflict text, priorities integer[],
    group_keys text[], after jsonb[], on_source_dead text, then_send jsonb, else_send jsonb
) returns void
language plpgsql immutable
set search_path = ''
as $$
declare
    fields  constant text[] := '{queue, message, delay_s, headers, unique_key, priority, group_key}';
    unknown constant text := (
        select min(format('%s has no field %s', part, quote_literal(field)))
        from (values ('then_send', then_send), ('else_send', else_send)) as follow_up (part, value),
             jsonb_object_keys(case when postmill._is_follow_up(value) then value - fields end) as field);
    wrong   text;
    try     text;
begin
    select said.wrong, said.try into wrong, try
    from (values
        (cardinality(unique_keys) <> messages,
         'there is not one unique key a message',
         'Give null where a message has none.'),
        (cardinality(priorities) <> messages,
         'there is not one priority a message',
         'Give null where a message has none.'),
        (cardinality(group_keys) <> messages,
         'there is not one group key a message',
         'Give null where a message has none.'),
        (cardinality(after) <> messages,
         'there is not one entry of after a message',
         'Give null where a message waits for none.'),
        (exists (select from unnest(unique_keys) as k where length(k) not between 1 and 200),
         'a unique key has 1 to 200 characters', 'Give a digest of what is longer.'),
        (exists (select from unnest(group_keys) as k where length(k) not between 1 and 200),
         'a group key has 1 to 200 characters', 'Give a digest of what is longer.'),
        (exists (select from unnest(priorities) as p where p not between 0 and 9),
         'a priority is 0 to 9',
         'The higher the sooner.'),
        (exists (select from unnest(after) as a where jsonb_typeof(a) <> 'array'),
         'an entry of after is no list', 'For example: ''["resize:17", "#1"]''::jsonb.'),
        (coalesce(on_conflict, '') not in ('skip', 'replace', 'raise'),
         'on_conflict is skip, replace or raise',
         'The default is skip.'),
        (coalesce(on_source_dead, '') not in ('cancel', 'skip', 'block'),
         'on_source_dead is cancel, skip or block',
         'The default is cancel.'),
        (unique_for <= interval '0' or not isfinite(unique_for) or unique_for > interval '100000 years',
         'unique_for is no length of time',
         'Leave it out: the key is held until the message is done.'),
        (unique_for is not null and unique_keys is null,
         'unique_for without a unique key',
         'Give the key.'),
        (not coalesce(postmill._is_follow_up(then_send), true),
         'then_send is no message',
         'For example: ''{"queue": "emails", "message": {"to": "ada"}}''::jsonb.'),
        (not coalesce(postmill._is_follow_up(else_send), true),
         'else_send is no message',
         'For example: ''{"queue": "emails", "message": {"to": "ada"}}''::jsonb.'),
        (unknown is not null,
         unknown,
         'Beside queue and message it has delay_s, headers, unique_key, priority and group_key.')
    ) as said (holds, wrong, try)
    where said.holds
    limit 1;
    if wrong is not null then
        raise exception '%', wrong using errcode = 'PM003', hint = try;
    end if;
end
$$;

-- Refuses an operation that can't be: a kind, a key or a value of the filter that is none, a target that is not there.
-- Called by plan_operation and start_operation. Takes no locks. Errors: PM001 no such queue, PM003.
create or replace function postmill._check_operation(kind text, queue text, filter jsonb, target text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    wrong text;
begin
    perform postmill._named_table(queue);
    if coalesce(kind, '') not in ('cancel', 'retry', 'move', 'replay', 'discard') then
        raise exception 'there is no operation %', coalesce(quote_literal(kind), 'null')
            using errcode = 'PM003', hint = 'It is cancel, retry, move, replay or discard.';
    elsif (kind = 'move') <> (target is not null) or lower(target) = lower(queue) then
        raise exception 'a move needs another queue as its target, and nothing else has one' using errcode = 'PM003',
            hint = 'For example: target => ''slow''.';
    elsif target is not null then
        perform postmill._named_table(target);
    end if;
    if coalesce(jsonb_typeof(filter), '') <> 'object' then
        raise exception 'the filter is no object' using errcode = 'PM003', hint = 'An empty one, {}, matches all.';
    end if;
    select case when rule.says is null then format('%s is no key of it', given.key)
                else format('%s is %s', given.key, rule.says) end into wrong
    from jsonb_each(filter) as given
    left join (values
        ('ids', 'array', '$[*] ? (@.type() != "number" || @.floor() != @)', 'an array of at most 10,000 whole numbers'),
        ('state', 'array', '$[*] ? (@.type() != "string")', 'an array of states'),
        ('msg_ids', 'array', '$[*] ? (@.type() != "number" || @.floor() != @)', 'an array of two whole numbers'),
        ('fields', 'object', '$.* ? (@.type() != "string")', 'an object of texts by place, such as payload.user.id'),
        ('words', 'array', '$[*] ? (@.type() != "string")', 'an array of texts'),
        ('sent_since', 'string', null, 'a moment'),
        ('sent_until', 'string', null, 'a moment'),
        ('payload', null, null, 'anything'),
        ('headers', 'object', null, 'an object'),
        ('since', 'string', null, 'a moment'),
        ('until', 'string', null, 'a moment'),
        ('error', 'string', null, 'a text'),
        ('fingerprint', 'string', null, 'a text')
    ) as rule (key, type, odd, says) on rule.key = given.key
    where case when rule.says is null or jsonb_typeof(given.value) <> rule.type then true
               when rule.key = 'ids' and jsonb_array_length(given.value) > 10000 then true
               when rule.key = 'msg_ids' and jsonb_array_length(given.value) <> 2 then true
               when rule.key = 'fields' and exists (
                   select from jsonb_object_keys(given.value) as place
                   where place !~ $re$^(payload|header)(\.("(?:[^"\\]|\\.)*"|[^".]+))+\Z$re$) then true
               else jsonb_path_exists(given.value, rule.odd::jsonpath) end
    limit 1;
    begin
        perform (filter ->> key)::timestamptz from unnest(array['since', 'until', 'sent_since', 'sent_until']) as key;
    exception when data_exception then
        wrong := 'since, until, sent_since and sent_until are moments, such as 2030-01-31T09:00+01:00';
    end;
    if wrong is not null then
        raise exception 'the filter can''t be used: %', wrong
            using errcode = 'PM003',
                  hint = 'Its keys are ids, msg_ids, state, payload, headers, fields, words, since, until, '
                         'sent_since, sent_until, error and fingerprint.';
    end if;
end
$$;

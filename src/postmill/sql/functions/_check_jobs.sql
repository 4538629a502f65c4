-- Refuses what a message can't ask for. Called by send and send_jobs. Takes no locks. Errors: PM003.
create or replace function postmill._check_jobs(
    messages integer, unique_keys text[], unique_for interval, on_conflict text, priorities integer[],
    group_keys text[], after jsonb[], on_source_dead text, then_send jsonb, else_send jsonb
) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    refusal text[];  -- what is wrong, and what to try
begin
    -- An expression without a subquery costs a batch a tenth of what a list of all rules did.
    refusal := case
        when cardinality(unique_keys) <> messages then
            array['there is not one unique key a message', 'Give null where a message has none.']
        when cardinality(priorities) <> messages then
            array['there is not one priority a message', 'Give null where a message has none.']
        when cardinality(group_keys) <> messages then
            array['there is not one group key a message', 'Give null where a message has none.']
        when cardinality(after) <> messages then
            array['there is not one entry of after a message', 'Give null where a message waits for none.']
        when coalesce(on_conflict, '') not in ('skip', 'replace', 'raise') then
            array['on_conflict is skip, replace or raise', 'The default is skip.']
        when coalesce(on_source_dead, '') not in ('cancel', 'skip', 'block') then
            array['on_source_dead is cancel, skip or block', 'The default is cancel.']
        when unique_for <= interval '0' or not isfinite(unique_for) or unique_for > interval '100000 years' then
            array['unique_for is no length of time', 'Leave it out: the key is held until the message is done.']
        when unique_for is not null and unique_keys is null then
            array['unique_for without a unique key', 'Give the key.']
        when on_conflict <> 'skip' and unique_keys is null then
            array['on_conflict without a unique key', 'Give the key.']
    end;
    if refusal is null and num_nonnulls(then_send, else_send) > 0 then
        refusal := coalesce(postmill._follow_up_refusal('then_send', then_send),
                            postmill._follow_up_refusal('else_send', else_send));
    end if;
    if refusal is null then
        -- Only lists that are given are walked through, each for itself: a row of all of them cost a batch as much as
        -- half of its messages' headers.
        refusal := case
            when unique_keys is not null and exists (
                select from (select unnest(unique_keys)) as asked (key) where length(asked.key) not between 1 and 200)
            then array['a unique key has 1 to 200 characters', 'Give a digest of what is longer.']
            when group_keys is not null and exists (
                select from (select unnest(group_keys)) as asked (key) where length(asked.key) not between 1 and 200)
            then array['a group key has 1 to 200 characters', 'Give a digest of what is longer.']
            when priorities is not null and exists (
                select from (select unnest(priorities)) as asked (priority) where asked.priority not between 0 and 9)
            then array['a priority is 0 to 9', 'The higher the sooner.']
            when after is not null and exists (
                select from (select unnest(after)) as asked (refs) where jsonb_typeof(asked.refs) <> 'array')
            then array['an entry of after is no list', 'For example: ''["resize:17", "#1"]''::jsonb.']
        end;
    end if;
    if refusal is not null then
        raise exception '%', refusal[1] using errcode = 'PM003', hint = refusal[2];
    end if;
end
$$;

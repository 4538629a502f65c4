-- The headers of messages with what they ask for: one entry a message, null where a message has none.
-- Called by send and send_jobs. Takes no locks. Errors: none.
create or replace function postmill._job_headers(
    messages integer, headers jsonb[], unique_keys text[], priorities integer[], group_keys text[], after jsonb[],
    then_send jsonb, else_send jsonb
) returns jsonb[]
language sql immutable
set search_path = ''
as $$
    -- Arrays are unnested and never subscripted: an entry of text is found by walking through all before it.
    select array_agg(case
        when told.headers is null then nullif(told.asked || after_it.sent, '{}')
        else nullif(told.headers || told.asked || after_it.sent, '{}') end)
    from (select each.header as headers,
              jsonb_strip_nulls(jsonb_build_object(
                  'postmill-unique-key', each.unique_key, 'postmill-priority', each.priority,
                  'postmill-group', each.group_key,
                  'postmill-after', case when each.after is not null then true end)) as asked
          from unnest(array_fill(1, array[messages]), headers, unique_keys, priorities, group_keys, after)
              as each (one, header, unique_key, priority, group_key, after)) as told,
         (select case when then_send is null then '{}' else jsonb_build_object('postmill-then', then_send) end
              || case when else_send is null then '{}' else jsonb_build_object('postmill-else', else_send) end
         ) as after_it (sent);
$$;

-- The headers of messages with what they ask for: one entry a message, null where a message has none.
-- Called by send and send_jobs. Takes no locks. Errors: none.
create or replace function postmill._job_headers(
    messages integer, headers jsonb[], unique_keys text[], priorities integer[], group_keys text[], after jsonb[],
    then_send jsonb, else_send jsonb
) returns jsonb[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    -- Arrays are unnested and never subscripted: an entry of text is found by walking through all before it.
    -- What a message does not ask for costs it next to nothing: one object with nulls stripped took twice as long, and
    -- so did jsonb_build_object beside jsonb_object.
    select array_agg(case
        when num_nonnulls(each.header, each.priority, each.group_key, each.after, then_send, else_send) > 0 then
            nullif(
                coalesce(each.header, '{}')
                || case when each.unique_key is null then '{}'
                   else jsonb_object(array['postmill-unique-key', each.unique_key]) end
                || case when each.priority is null then '{}'
                   else jsonb_build_object('postmill-priority', each.priority) end
                || case when each.group_key is null then '{}'
                   else jsonb_object(array['postmill-group', each.group_key]) end
                || case when each.after is null then '{}' else '{"postmill-after": true}'::jsonb end
                || after_it.sent, '{}')
        when each.unique_key is not null then jsonb_object(array['postmill-unique-key', each.unique_key])
    end)
    from (select unnest(array_fill(1, array[messages])), unnest(headers) as header, unnest(unique_keys) as unique_key,
                 unnest(priorities) as priority, unnest(group_keys) as group_key, unnest(after) as after) as each,
         (select case when then_send is null then '{}' else jsonb_build_object('postmill-then', then_send) end
              || case when else_send is null then '{}' else jsonb_build_object('postmill-else', else_send) end
         ) as after_it (sent);
$$;

-- The headers of messages with what they ask for: one entry a message, null where a message has none.
-- Called by send and send_jobs. Takes no locks. Errors: none.
create or replace function postmill._job_headers(
    messages integer, headers jsonb[], unique_keys text[], priorities integer[], group_keys text[], after jsonb[],
    then_send jsonb, else_send jsonb
) returns jsonb[]
language sql immutable
set search_path = ''
as $$
    select array_agg(nullif(
        coalesce(headers[place], '{}')
        || case when unique_keys[place] is null then '{}'
           else jsonb_build_object('postmill-unique-key', unique_keys[place]) end
        || case when priorities[place] is null then '{}'
           else jsonb_build_object('postmill-priority', priorities[place]) end
        || case when group_keys[place] is null then '{}'
           else jsonb_build_object('postmill-group', group_keys[place]) end
        || case when after[place] is null then '{}' else jsonb '{"postmill-after": true}' end
        || case when then_send is null then '{}' else jsonb_build_object('postmill-then', then_send) end
        || case when else_send is null then '{}' else jsonb_build_object('postmill-else', else_send) end,
        '{}') order by place)
    from generate_series(1, messages) as place;
$$;

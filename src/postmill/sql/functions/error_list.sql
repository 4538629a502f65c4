-- Errors that are alike, the one seen last first, from the last `max_failures` failed attempts of all queues or of
-- `only_queue`; `only_error` is one of them by its fingerprint, with all its failures up to that many. `state` is open,
-- ignored or resolved; an error that was seen after it was resolved is open, and `reopened`. `last_24_hours` counts by
-- hour, the last hour last.
-- Called by people, the command line and dashboards. Takes no locks. Errors: PM001 no such queue.
create or replace function postmill.error_list(
    only_error text default null, only_queue text default null, max_failures integer default 10000
) returns table (
    fingerprint text, state text, reopened boolean, kind text, error_type text, error_message text, failures bigint,
    messages bigint, queues text[], first_seen timestamptz, last_seen timestamptz, last_24_hours bigint[],
    changed_by text, changed_at timestamptz
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
    if only_queue is not null then
        perform postmill._named_table(only_queue);
    end if;
    return query execute format(
        'with seen as materialized (
             select fingerprint, queue_name, msg_id, kind, error_type, error_message, failed_at, failure_id,
                 floor(extract(epoch from $4 - failed_at) / 3600)::bigint as hours_ago
             from postmill.failures
             where fingerprint is not null %s %s
             order by failure_id desc limit $3
         ), alike as (
             select fingerprint, (array_agg(error_message order by failure_id desc))[1] as error_message,
                 min(kind) as kind, min(error_type) as error_type, count(*) as failures,
                 count(distinct (queue_name, msg_id)) as messages,
                 array_agg(distinct queue_name order by queue_name) as queues,
                 min(failed_at) as first_seen, max(failed_at) as last_seen,
                 array_agg(hours_ago) filter (where hours_ago between 0 and 23) as hours_ago
             from seen group by fingerprint
         )
         select alike.fingerprint, its.state, decided.state = ''resolved'' and its.state = ''open'', alike.kind,
             alike.error_type, alike.error_message, alike.failures, alike.messages, alike.queues, alike.first_seen,
             alike.last_seen,
             array(select count(own.ago)
                   from generate_series(23, 0, -1) as hours
                   left join unnest(alike.hours_ago) as own (ago) on own.ago = hours
                   group by hours order by hours desc),
             decided.changed_by, decided.changed_at
         from alike
         left join postmill.error_groups as decided on decided.fingerprint = alike.fingerprint
         cross join lateral (
             select case when decided.state = ''resolved'' and alike.last_seen > decided.changed_at then ''open''
                         else coalesce(decided.state, ''open'') end as state) as its
         order by alike.last_seen desc',
        case when only_error is not null then 'and fingerprint = $1' else '' end,
        case when only_queue is not null then 'and queue_name = $2' else '' end)
    using only_error, only_queue, max_failures, clock_timestamp();
end
$$;

-- A version of each thing that somebody watches: another text says that a look at it would show something else.
-- $1: names of queues; $2: every queue too, the first 300 by name; $3 and $4: queues and ids of messages; $5: ids of
-- runs.
-- Sequences and claims are up to date; what neither shows (a message that came and went between two looks, a purge)
-- comes with the server's statistics, seconds later. About a millisecond for 100 queues.
-- Called by the dashboard, four times a second while somebody watches. Takes no locks. Errors: none.
with watched as materialized (
    select meta.queue_name as name, meta.queue_name = any ($1::text[]) as alone
      from pgmq.meta
     where meta.queue_name = any ($1::text[])
        or ($2::boolean and meta.queue_name in (select all_of.queue_name from pgmq.meta as all_of order by 1 limit 300))
), held as materialized (
    select queue_name, sum(hashint8extended(claim_id, cardinality(msg_ids)))::text as digest
      from postmill.claims group by queue_name
), written as materialized (
    select queue_name, sum(sums_written) as sums from postmill.workers where stopped_at is null group by queue_name
), queue_versions as materialized (
    select
        watched.name, watched.alone,
        concat_ws('.', pg_sequence_last_value(to_regclass(format('pgmq.%I', own.name || '_msg_id_seq'))), held.digest,
                  pg_stat_get_tuples_updated(made.relation), pg_stat_get_tuples_deleted(made.relation),
                  extract(epoch from queues.paused_at), written.sums) as version
    from watched
    cross join lateral (select lower('q_' || watched.name) as name) as own
    cross join lateral (select to_regclass(format('pgmq.%I', own.name))::oid as relation) as made
    left join held on held.queue_name = watched.name
    left join written on written.queue_name = watched.name
    left join postmill.queues on queues.queue_name = watched.name
)
select 'queue:' || name as topic, version from queue_versions where alone
union all
select 'queues', md5(concat(string_agg(name || version, ' ' order by name),
                            pg_sequence_last_value('postmill.claims_claim_id_seq'),
                            pg_sequence_last_value('postmill.dead_letters_letter_id_seq')))
  from queue_versions where $2::boolean
union all
select 'message:' || asked.queue_name || '/' || asked.msg_id,
       concat_ws('.', (select string_agg(claim_id::text, '-') from postmill.claims
                        where claims.queue_name = asked.queue_name and asked.msg_id = any (claims.msg_ids)),
                 (select max(failure_id) from postmill.failures
                   where failures.queue_name = asked.queue_name and failures.msg_id = asked.msg_id),
                 (select max(letter_id) from postmill.dead_letters
                   where dead_letters.queue_name = asked.queue_name and dead_letters.msg_id = asked.msg_id),
                 (select concat(requested_at, cancelled_at) from postmill.cancellations
                   where cancellations.queue_name = asked.queue_name and cancellations.msg_id = asked.msg_id))
  from unnest($3::text[], $4::bigint[]) as asked (queue_name, msg_id)
union all
select 'run:' || run_id,
       concat_ws('.', runs.state, runs.changed, (select max(steps.changed::text::bigint) from postmill.steps
                                                  where steps.run_id = runs.run_id))
  from postmill.runs where run_id = any ($5::bigint[])
union all
select 'runs', concat_ws('.', pg_sequence_last_value('postmill.runs_run_id_seq'),
                         (select md5(string_agg(concat_ws('.', run_id, state, changed), ' '))
                            from (select run_id, state, changed from postmill.runs where ended_at is null
                                   order by run_id limit 200) as open))
union all
select 'failures', pg_sequence_last_value('postmill.failures_failure_id_seq')::text
union all
select 'dead', concat_ws('.', pg_sequence_last_value('postmill.dead_letters_letter_id_seq'),
                         pg_stat_get_tuples_updated('postmill.dead_letters'::regclass),
                         pg_stat_get_tuples_deleted('postmill.dead_letters'::regclass))
union all
select 'operations', concat_ws('.', pg_sequence_last_value('postmill.operations_operation_id_seq'),
                               (select md5(string_agg(concat_ws('.', operation_id, state, position, done, busy), ' '))
                                  from (select operation_id, state, position, done, busy from postmill.operations
                                         where ended_at is null order by operation_id limit 100) as open))
union all
select 'workers', concat_ws('.', count(*), count(deprecated_at),
                            md5(string_agg(worker_id::text, '' order by worker_id)))
  from postmill.workers where stopped_at is null
union all
select 'schedules', concat_ws('.', pg_sequence_last_value('postmill.schedule_runs_run_id_seq'),
                              pg_stat_get_tuples_updated('postmill.schedules'::regclass),
                              pg_stat_get_tuples_deleted('postmill.schedules'::regclass))
union all
select 'calls', concat_ws('.', pg_sequence_last_value('postmill.calls_call_id_seq'),
                          pg_stat_get_tuples_inserted('postmill.call_responses'::regclass))

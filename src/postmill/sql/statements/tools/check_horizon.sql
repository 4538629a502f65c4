-- What keeps vacuum from removing dead rows, the oldest first: transactions, prepared transactions, replication slots.
-- `age_s` is null for slots, which have no time; `age_xids` is how many transactions ago.
-- Called by doctor. Takes no locks. Errors: none; a user without pg_read_all_stats sees less.
select kind, name, age_s, age_xids
from (
    select 'transaction' as kind,
        format('%s (%s, %s)', pid, usename, coalesce(nullif(application_name, ''), state)) as name,
        extract(epoch from clock_timestamp() - xact_start)::float8 as age_s,
        age(coalesce(backend_xmin, backend_xid)) as age_xids
    from pg_stat_activity
    where pid <> pg_backend_pid() and coalesce(backend_xmin, backend_xid) is not null and xact_start is not null
      and backend_type = 'client backend'
    union all
    select 'prepared transaction', gid, extract(epoch from clock_timestamp() - prepared)::float8, age(transaction)
    from pg_prepared_xacts
    union all
    select 'replication slot', slot_name, null, greatest(age(xmin), age(catalog_xmin))
    from pg_replication_slots
    where xmin is not null or catalog_xmin is not null
) as holder
order by age_xids desc
limit 20

-- The indexes by which searches find values in what is done: of a queue, or of all. A place has two: one on the queue's
-- archive, one on its dead letters. `state`: built; building; unfinished, when building it was interrupted; missing,
-- when it was not begun, or somebody dropped it. `definition` makes it, and holds up no one else; it can't run in a
-- transaction. There is none on a queue's own table, which every send and claim would pay for.
-- Called by people, the command line and the API. Takes no locks. Errors: none.
create or replace function postmill.search_index_list(queue text default null) returns table (
    queue_name text, place text, table_name text, index_name text, state text, size_bytes bigint, definition text,
    created_at timestamptz
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select wanted.queue_name, wanted.place, target.relation::text, format('%I.%I', target.schema, target.name),
           case when known.indisvalid then 'built'
                when known.indexrelid is null then 'missing'
                when exists (select from pg_stat_progress_create_index as under_way
                             where under_way.datid = (select oid from pg_database where datname = current_database())
                               and under_way.index_relid = known.indexrelid) then 'building'
                else 'unfinished' end,
           pg_relation_size(known.indexrelid),
           format('create index concurrently %I on %s (%s, msg_id)', target.name, target.relation,
                  postmill._indexed_expression(wanted.place, null))
               || case when target.schema = 'postmill' then format(' where queue_name = %L', wanted.queue_name)
                       else '' end,
           wanted.created_at
    from postmill.search_indexes as wanted
    cross join lateral (values
        ('pgmq', to_regclass(format('pgmq.%I', lower('a_' || wanted.queue_name)))),
        ('postmill', 'postmill.dead_letters'::regclass)
    ) as of_one (schema, relation)
    cross join lateral (select of_one.schema, of_one.relation,
        ('postmill_search_' || md5(concat_ws(' ', of_one.schema, lower(wanted.queue_name), wanted.place)))::name as name
    ) as target
    left join pg_index as known
        on known.indexrelid = to_regclass(format('%I.%I', target.schema, target.name))
       and known.indrelid = target.relation
    where target.relation is not null
      and (postmill._headers_column(target.relation, 'it') = 'it.headers' or not starts_with(wanted.place, 'header.'))
      and (queue is null or wanted.queue_name = queue)
    order by wanted.queue_name, wanted.place, target.schema
$$;

-- What each of Postmill's roles may do with the tables of a queue: one row a privilege; `columns` is null where it
-- holds for the whole table. A role that only sends reads no payload.
-- Called by _grant_on_queue and doctor. Takes no locks. Errors: PM001 no such queue.
create or replace function postmill._queue_rights(queue text)
returns table (role_name text, relation regclass, privilege text, columns text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with tables as (
        select found.relation as queue, to_regclass(format('pgmq.%I', lower('a_' || $1))) as archive,
               pg_get_serial_sequence(found.relation::text, 'msg_id')::regclass as sequence
        from postmill._queue_table($1) as found (relation)
    )
    select role.name, given.relation, privilege.name,
           (select string_agg(quote_ident(known.attname), ', ' order by known.attnum)
            from pg_catalog.pg_attribute as known
            where known.attrelid = given.relation and known.attname = any (given.columns) and not known.attisdropped)
    from tables
    cross join lateral (values
        ('{producer,scheduler}'::text[], tables.queue, '{insert}'::text[], null::text[]),
        ('{producer,scheduler}', tables.queue, '{select}', '{msg_id,read_ct,enqueued_at,last_read_at,vt,headers}'),
        ('{producer,scheduler}', tables.queue, '{update}', '{vt,message,headers}'),
        ('{producer,scheduler}', tables.archive, '{select}', '{msg_id,enqueued_at}'),
        ('{worker,operator}', tables.queue, '{select,insert,update,delete}', null),
        ('{worker}', tables.archive, '{select,insert,update,delete}', null),
        ('{reader}', tables.queue, '{select}', null),
        ('{reader,operator}', tables.archive, '{select}', null),
        ('{producer,worker,scheduler,operator}', tables.sequence, '{usage}', null),
        ('{producer,worker,scheduler,reader,operator}', tables.sequence, '{select}', null)
    ) as given (roles, relation, privileges, columns)
    cross join lateral (select 'postmill_' || each from unnest(given.roles) as each) as role (name)
    cross join lateral unnest(given.privileges) as privilege (name)
    where given.relation is not null;
$$;

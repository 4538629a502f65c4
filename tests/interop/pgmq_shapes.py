"""Stand-ins, written by us, for pgmq releases that tests can't run: record types, tables, signatures.

Only what Postmill and its facades call is here, as short as it can be.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Release:
    """What distinguishes a release for us: the columns of a queue, in their order, and how send is called."""

    name: str
    columns: tuple[str, ...]

    @property
    def has_headers(self) -> bool:
        """From 1.5: headers, and a timestamp as delay."""
        return "headers jsonb" in self.columns

    @property
    def sql(self) -> str:
        """What a database has that this release was installed in."""
        sending = _SEND_1_5 if self.has_headers else _SEND_1_4
        names = ", ".join(column.partition(" ")[0] for column in self.columns)
        taking = _TAKE.replace("{names}", names)
        if self.has_headers:
            taking = taking.replace("qty integer)", "qty integer, conditional jsonb default '{}')")
        if self.name.startswith("1.10"):
            taking = taking.replace("pop(queue_name text)", "pop(queue_name text, qty integer default 1)")
        return _BASE.replace("{columns}", ", ".join(self.columns)) + sending + taking


_START = ("msg_id bigint", "read_ct integer", "enqueued_at timestamptz")
_BODY = ("vt timestamptz", "message jsonb")

RELEASES = (
    Release("1.4.4", (*_START, *_BODY)),
    Release("1.5", (*_START, *_BODY, "headers jsonb")),
    Release("1.10 upgraded", (*_START, *_BODY, "headers jsonb", "last_read_at timestamptz")),
)

_BASE = """
create schema pgmq;
create table pgmq.meta (queue_name varchar unique not null, is_partitioned boolean not null,
    is_unlogged boolean not null, created_at timestamptz not null default now());
create type pgmq.message_record as ({columns});
create function pgmq.create(queue_name text) returns void language plpgsql as $f$
begin
    execute format('create table pgmq.%1$I ({columns});
        alter table pgmq.%1$I alter msg_id set not null, alter msg_id add generated always as identity,
            add primary key (msg_id), alter read_ct set default 0, alter enqueued_at set default now();
        create index on pgmq.%1$I (vt);
        create table pgmq.%2$I (like pgmq.%1$I, archived_at timestamptz not null default now())',
        'q_' || queue_name, 'a_' || queue_name);
    insert into pgmq.meta values (queue_name, false, false);
end $f$;
"""

_SEND_1_4 = """
create function pgmq.send_batch(queue_name text, msgs jsonb[], delay integer default 0)
returns setof bigint language plpgsql as $f$
begin
    return query execute format('insert into pgmq.%I (vt, message)
        select clock_timestamp() + make_interval(secs => $2), unnest($1) returning msg_id',
        'q_' || queue_name) using msgs, delay;
end $f$;
create function pgmq.send(queue_name text, msg jsonb, delay integer default 0)
returns setof bigint language sql as 'select pgmq.send_batch(queue_name, array[msg], delay)';
create function pgmq.drop_queue(queue_name text, partitioned boolean default false)
returns boolean language plpgsql as $f$
begin
    execute format('drop table pgmq.%I, pgmq.%I', 'q_' || queue_name, 'a_' || queue_name);
    delete from pgmq.meta as meta where meta.queue_name = drop_queue.queue_name;
    return true;
end $f$;
"""

_SEND_1_5 = """
create function pgmq.send_batch(queue_name text, msgs jsonb[], headers jsonb[], delay timestamptz)
returns setof bigint language plpgsql as $f$
begin
    return query execute format('insert into pgmq.%I (vt, message, headers)
        select $2, unnest($1), unnest(coalesce($3, array[]::jsonb[])) returning msg_id', 'q_' || queue_name)
    using msgs, delay, headers;
end $f$;
create function pgmq.send_batch(queue_name text, msgs jsonb[], delay integer)
returns setof bigint language sql as
    'select pgmq.send_batch(queue_name, msgs, null, clock_timestamp() + make_interval(secs => delay))';
create function pgmq.send(queue_name text, msg jsonb, headers jsonb, delay timestamptz)
returns setof bigint language sql as 'select pgmq.send_batch(queue_name, array[msg], array[headers], delay)';
create function pgmq.send(queue_name text, msg jsonb, delay integer)
returns setof bigint language sql as
    'select pgmq.send(queue_name, msg, null, clock_timestamp() + make_interval(secs => delay))';
create function pgmq.send(queue_name text, msg jsonb, headers jsonb)
returns setof bigint language sql as 'select pgmq.send(queue_name, msg, headers, clock_timestamp())';
create function pgmq.drop_queue(queue_name text, partitioned boolean)
returns boolean language sql as 'select true';
create function pgmq.drop_queue(queue_name text)
returns boolean language plpgsql as $f$
begin
    execute format('drop table pgmq.%I, pgmq.%I', 'q_' || queue_name, 'a_' || queue_name);
    delete from pgmq.meta as meta where meta.queue_name = drop_queue.queue_name;
    return true;
end $f$;
"""

_TAKE = """
create function pgmq.read(queue_name text, vt integer, qty integer)
returns setof pgmq.message_record language plpgsql as $f$
begin
    return query execute format('update pgmq.%1$I as message
        set vt = clock_timestamp() + make_interval(secs => $1), read_ct = read_ct + 1
        where msg_id in (select msg_id from pgmq.%1$I where vt <= clock_timestamp() order by msg_id limit $2)
        returning {names}', 'q_' || queue_name) using vt, qty;
end $f$;
create function pgmq.pop(queue_name text)
returns setof pgmq.message_record language plpgsql as $f$
begin
    return query execute format('delete from pgmq.%1$I where msg_id =
        (select msg_id from pgmq.%1$I where vt <= clock_timestamp() order by msg_id limit 1)
        returning {names}', 'q_' || queue_name);
end $f$;
create function pgmq.delete(queue_name text, msg_ids bigint[])
returns setof bigint language plpgsql as $f$
begin
    return query execute format('delete from pgmq.%I where msg_id = any ($1) returning msg_id',
        'q_' || queue_name) using msg_ids;
end $f$;
create function pgmq.delete(queue_name text, msg_id bigint)
returns boolean language sql as 'select exists (select from pgmq.delete(queue_name, array[msg_id]))';
create function pgmq.archive(queue_name text, msg_ids bigint[])
returns setof bigint language plpgsql as $f$
begin
    return query execute format('with gone as (delete from pgmq.%I where msg_id = any ($1) returning {names})
        insert into pgmq.%I ({names}) select {names} from gone returning msg_id',
        'q_' || queue_name, 'a_' || queue_name) using msg_ids;
end $f$;
create function pgmq.archive(queue_name text, msg_id bigint)
returns boolean language sql as 'select exists (select from pgmq.archive(queue_name, array[msg_id]))';
"""

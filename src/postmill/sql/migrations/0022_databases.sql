-- Several databases: each knows its own name, so that an address that leads to another one is noticed; and messages on
-- their way from one to another.

-- One row at most: the name that this database has in [databases] of postmill.toml. No row: it is the only one.
create table postmill.own_name (
    is_own   boolean primary key default true check (is_own),
    name     text not null check (name ~ '^[a-z][a-z0-9_]{0,29}$'),
    named_at timestamptz not null default clock_timestamp()
);

-- Messages that were taken out of a queue, to be brought into another database, and have not arrived there.
create table postmill.departures (
    queue_name  text collate "C" not null,
    msg_id      bigint not null,
    target      text not null,        -- the name of the other database
    enqueued_at timestamptz not null,
    vt          timestamptz not null,
    message     jsonb,
    headers     jsonb,
    primary key (queue_name, msg_id, enqueued_at)
);

-- Messages that have arrived from another database which may not know it yet: none is put in twice. The moment of its
-- sending tells a message from one that has its id after its queue was made anew.
create table postmill.arrivals (
    source      text collate "C" not null,
    queue_name  text collate "C" not null,
    msg_id      bigint not null,
    enqueued_at timestamptz not null,
    primary key (source, queue_name, msg_id, enqueued_at)
);

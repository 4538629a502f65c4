-- One of several databases knows its own name, so that an address that leads to another one is noticed.

-- One row at most: the name that this database has in [databases] of postmill.toml. No row: it is the only one.
create table postmill.own_name (
    is_own   boolean primary key default true check (is_own),
    name     text not null check (name ~ '^[a-z][a-z0-9_]{0,29}$'),
    named_at timestamptz not null default clock_timestamp()
);

-- The schema and the two tables in which the migrator writes down what it did. Called by postmill.db.tools.migrate,
-- once, under its lock. Errors: insufficient_privilege when the role may not create a schema in this database.
create schema postmill;
revoke all on schema postmill from public;
comment on schema postmill is 'Postmill: background work. Tables are private; use the functions and views.';

-- Numbered migrations that ran here.
create table postmill.migrations (
    number     integer primary key,
    name       text not null,
    sha256     text not null,
    applied_at timestamptz not null default clock_timestamp()
);

-- What is installed beside them: pgmq when it was us who brought it, and each function, view and facade.
create table postmill.components (
    name         text primary key,
    version      text,
    sha256       text not null,
    installed_at timestamptz not null default clock_timestamp()
);

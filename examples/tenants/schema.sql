-- The application's own table: what was rendered, and how long it had waited.
create schema if not exists tenants;
create table if not exists tenants.rendered (
    tenant    text not null,
    page      integer not null,
    waited_ms double precision not null,
    done_at   timestamptz not null default clock_timestamp(),
    primary key (tenant, page)
);

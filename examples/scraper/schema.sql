-- The demo's own tables, beside Postmill's in the same database.
create schema if not exists scraper;

-- One row a page that was sent to the queue; done_at is set in the transaction that completes its message.
create table if not exists scraper.pages (
    url         text primary key,
    sent_at     timestamptz not null default clock_timestamp(),
    done_at     timestamptz,
    attempts    integer,
    waited_ms   double precision,   -- from send to start; null when an earlier attempt failed
    links       integer,            -- on a folder's page
    bytes       integer
);

-- What the Python files define.
create table if not exists scraper.definitions (
    url     text not null,
    kind    text not null,
    name    text not null,
    line    integer not null,
    summary text not null
);
create index if not exists definitions_url on scraper.definitions (url);

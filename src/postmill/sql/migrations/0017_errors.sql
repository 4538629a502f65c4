-- Errors that are alike: failed attempts with one fingerprint, and what people have decided about them. Nothing here is
-- written for a message that does not fail.

-- What is alike in failed attempts: kind, type, message without what differs, and the place in the user's code. Null in
-- rows of earlier releases.
alter table postmill.failures add column fingerprint text;
create index failures_fingerprint on postmill.failures (fingerprint, failure_id) where fingerprint is not null;
create index failures_latest on postmill.failures (failure_id) where fingerprint is not null;

-- The trigger sees to every recorder: workers of any release, rescue, and what SQL records. The function follows with
-- all others.
create or replace function postmill._add_fingerprint() returns trigger language plpgsql as 'begin return new; end';
create trigger add_fingerprint before insert on postmill.failures
    for each row execute function postmill._add_fingerprint();

-- One row an error about which somebody has decided. Without a row it is open; and it is open again when it was seen
-- after it was resolved.
create table postmill.error_groups (
    fingerprint text primary key,
    state       text not null check (state in ('open', 'ignored', 'resolved')),
    changed_by  text not null default session_user,
    changed_at  timestamptz not null default clock_timestamp()
);

-- How many attempts at messages of a queue have failed so in an hour. Pruning counts each failed attempt once, and so
-- what is known of an error outlives its failures: kept for 30 days. An hour of a queue has about 1,000 errors at most.
create table postmill.error_hours (
    queue_name  text not null,
    hour        timestamptz not null,
    fingerprint text not null,
    failures    bigint not null,
    primary key (queue_name, hour, fingerprint)
);
create index error_hours_fingerprint on postmill.error_hours (fingerprint, hour);

-- The last failure of the queue that is counted there.
alter table postmill.prunings add column counted_failure bigint not null default 0;

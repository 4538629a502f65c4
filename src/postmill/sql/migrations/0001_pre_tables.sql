-- The tables of schema postmill. All private: people, dashboards and other roles use the views and functions.
-- Lock order everywhere: queue rows by msg_id, then postmill.claims, then failures, dead_letters, results.

-- What a queue is to us; a queue that only other clients use has no row here until a worker of ours meets it.
create table postmill.queues (
    queue_name        text primary key,
    owned             boolean not null,          -- we created it: storage parameters and wake-ups are ours to set
    created_at        timestamptz not null default clock_timestamp(),
    paused_at         timestamptz,
    paused_by         text,
    pause_reason      text,
    cursor_hint       bigint not null default 0, -- no claimable message was at or below this id
    cursor_relation   oid,                       -- of which table: a queue dropped and created again restarts its ids
    archive_retention interval,                  -- null: the archive is kept for ever, as that of a queue that is not ours
    history_retention interval default interval '7 days'  -- failures, results, cancellations, replayed letters; null: for ever
);

-- Who prunes what next, one row a queue: whoever locks the row has the duty for one batch. Apart from postmill.queues, whose
-- rows workers update while they claim.
create table postmill.prunings (
    queue_name       text primary key,
    due_at           timestamptz not null default '-infinity',
    archive_position timestamptz not null default '-infinity', -- how far this sweep has come: dead rows before it are not
    failure_position bigint not null default 0                 -- walked over again while an old transaction keeps them
);
create index prunings_due_at on postmill.prunings (due_at);

-- One row a worker, kept after it stopped.
create table postmill.workers (
    worker_id         uuid primary key default gen_random_uuid(),
    queue_name        text not null,
    function_name     text not null,
    hostname          text not null,
    pid               integer not null,
    version           text not null,
    max_concurrent    integer not null,
    lock_key          bigint,                    -- session advisory lock that the living worker holds; null behind a pooler
    started_at        timestamptz not null default clock_timestamp(),
    last_heartbeat_at timestamptz not null default clock_timestamp(),
    lock_free_at      timestamptz,               -- when a rescue first found its lock free; null since it was last heard of
    deprecated_at     timestamptz,               -- set by an operator: the worker drains and stops
    stopped_at        timestamptz,
    stop_reason       text,
    in_flight         integer not null default 0
);
create index workers_living on postmill.workers (last_heartbeat_at) where stopped_at is null;
create index workers_stopped on postmill.workers (stopped_at) where stopped_at is not null;

-- One receipt a claim: which worker holds which messages. Gone when every message of it is settled.
create table postmill.claims (
    claim_id   bigint generated always as identity primary key,
    worker_id  uuid not null,
    queue_name text not null,
    msg_ids    bigint[] not null,
    read_cts   integer[] not null,
    claimed_at timestamptz not null default clock_timestamp()
);
create index claims_worker on postmill.claims (worker_id);

-- One row a failed attempt.
create table postmill.failures (
    failure_id    bigint generated always as identity primary key,
    queue_name    text not null,
    msg_id        bigint not null,
    attempt       integer not null,
    worker_id     uuid,
    kind          text not null check (kind in ('error', 'timeout', 'crash', 'lost_lease', 'invalid_payload')),
    error_type    text,
    error_message text,
    traceback     text,
    started_at    timestamptz,
    failed_at     timestamptz not null default clock_timestamp()
);
create index failures_message on postmill.failures (queue_name, msg_id);
create index failures_queue on postmill.failures (queue_name, failure_id);

-- Messages that will not be run again, whole, with what is needed to put them back.
create table postmill.dead_letters (
    letter_id     bigint generated always as identity primary key,
    queue_name    text not null,
    msg_id        bigint not null,
    read_ct       integer not null,
    enqueued_at   timestamptz not null,
    message       jsonb,
    headers       jsonb,
    attempts      integer not null,
    kind          text not null,
    reason        text not null,
    error_type    text,
    traceback     text,
    died_at       timestamptz not null default clock_timestamp(),
    replayed_at   timestamptz,
    replayed_as   bigint,
    replayed_by   text
);
create index dead_letters_queue on postmill.dead_letters (queue_name, letter_id) where replayed_at is null;
create index dead_letters_message on postmill.dead_letters (queue_name, msg_id);
create index dead_letters_replayed on postmill.dead_letters (queue_name, replayed_at) where replayed_at is not null;

-- What handlers returned, when they asked for it to be kept; and messages that were cancelled.
create table postmill.results (
    queue_name   text not null,
    msg_id       bigint not null,
    result       jsonb,
    completed_at timestamptz not null default clock_timestamp(),
    primary key (queue_name, msg_id)
);
create index results_completed_at on postmill.results (queue_name, completed_at);

create table postmill.cancellations (
    queue_name   text not null,
    msg_id       bigint not null,
    requested_at timestamptz not null default clock_timestamp(),
    requested_by text not null default current_user,
    cancelled_at timestamptz,                     -- null while a running handler has not yet given up
    message      jsonb,
    headers      jsonb,
    enqueued_at  timestamptz,
    primary key (queue_name, msg_id)
);
create index cancellations_pending on postmill.cancellations (queue_name) where cancelled_at is null;
create index cancellations_requested_at on postmill.cancellations (queue_name, requested_at);

-- Who wants to be woken when a message is sent. Unlogged: a hint that workers renew; after a crash they write it again.
create unlogged table postmill.listeners (
    queue_name text not null,
    worker_id  uuid not null,
    primary key (queue_name, worker_id)
);

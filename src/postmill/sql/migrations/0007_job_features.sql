-- What a message may ask for beside its delivery: a group, limits, a unique key, sources to wait for, a result that
-- another waits for. Lock order: blocked, queue rows by msg_id, claims, gates, groups (skipping locked), edges.

-- Limits are null where there are none.
alter table postmill.queues
    add column gated boolean not null default false,          -- messages of it have waited at gates: workers look there
    add column has_priorities boolean not null default false, -- its table has the index that finds urgent messages
    add column priority_aging interval not null default '1 minute', -- one step of priority counts as this much waiting
    add column max_running integer,                           -- at once, over all workers
    add column starts integer,                                -- at most this many starts in `per`
    add column per interval,
    add column group_max_running integer,                     -- the same of each group that has no limits of its own
    add column group_starts integer,
    add column group_per interval,
    add column gates_swept_at timestamptz not null default '2000-01-01 00:00:00+00',
    add column archive_max_rows bigint;                       -- the archive is cut to about this many rows

-- One row a message that waits, in its queue's table, for a place in its group; and one that has it: then it names the
-- claim. No counter of places exists, so none can be wrong.
create table postmill.gates (
    queue_name text collate "C" not null,
    group_key  text collate "C" not null,
    rank       timestamptz not null,   -- when it may start, and its place in the group
    msg_id     bigint not null,
    claim_id   bigint,                 -- of postmill.claims; null while it waits
    primary key (queue_name, msg_id)
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);
create index gates_waiting on postmill.gates (queue_name, group_key, rank, msg_id) where claim_id is null;
create index gates_held on postmill.gates (queue_name, group_key, claim_id) where claim_id is not null;

-- One row a group that has had a message. A claim locks it while it counts the places that are taken. The key '' stands
-- for the queue itself.
create table postmill.groups (
    queue_name  text collate "C" not null,
    group_key   text collate "C" not null,
    max_running integer,               -- null: as the queue says for each group
    starts      integer,
    per         interval,
    recent      timestamptz[] not null default '{}',        -- the last starts, where at most 1,000 are allowed
    tat         timestamptz not null default '-infinity',   -- above: when the next start would be in time (GCRA)
    primary key (queue_name, group_key)
);

-- A key is held while its message is in the queue, or until it expires.
create table postmill.unique_keys (
    queue_name  text collate "C" not null,
    unique_key  text collate "C" not null,
    msg_id      bigint not null,
    enqueued_at timestamptz not null,  -- the message's: another message may have its id once the sequence was set back
    expires_at  timestamptz,           -- null: held until the message is gone
    primary key (queue_name, unique_key)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);

-- How far this sweep over the queue's unique keys has come.
alter table postmill.prunings add column key_position text collate "C" not null default '';

-- Which message waits for which, and how many sources each waits for.
create table postmill.edges (
    source_queue text collate "C" not null,
    source_id    bigint not null,
    target_queue text collate "C" not null,
    target_id    bigint not null,
    on_dead      text not null check (on_dead in ('cancel', 'skip', 'block')),
    died         boolean not null default false, -- the source is dead, and the target waits for its replay
    was_there    boolean not null default false, -- the source was in its queue when the target was sent
    told         boolean not null default false, -- the source is marked: its end is passed on with its settlement
    primary key (source_queue, source_id, target_queue, target_id)
);
create index edges_target on postmill.edges (target_queue, target_id);

create table postmill.blocked (
    queue_name text collate "C" not null,
    msg_id     bigint not null,
    waits      integer not null,
    due_at     timestamptz not null,
    primary key (queue_name, msg_id)
);
create index blocked_free on postmill.blocked (queue_name, msg_id) where waits <= 0;

-- Sources that ended, while something kept their end from one of those that wait for them: a lock, an error, or that
-- they are very many. The sweep passes these ends on.
create table postmill.ended (
    queue_name text collate "C" not null,
    msg_id     bigint not null,
    fate       text not null check (fate in ('completed', 'dead', 'cancelled', 'unknown')),
    primary key (queue_name, msg_id)
);

-- How far the sweep over the messages that wait for others has come, and when it is due: one row, which is locked by
-- the session that has the duty.
create table postmill.edge_sweep (
    is_only      boolean primary key default true check (is_only),
    due_at       timestamptz not null default '-infinity',
    source_queue text collate "C" not null default '',
    source_id    bigint not null default 0,
    target_queue text collate "C" not null default '',
    target_id    bigint not null default 0
);

-- Why a message was cancelled, when no person asked for it.
alter table postmill.cancellations add column reason text;

-- A worker that deletes what it completes leaves no trace of it: of its queue, what is gone was completed.
alter table postmill.workers add column deletes boolean not null default false;

-- At commit, each source of a new edge is told that a message waits for it. The function follows with all others.
create or replace function postmill._edge_at_commit() returns trigger language plpgsql as 'begin return null; end';
create constraint trigger edge_at_commit after insert on postmill.edges
    deferrable initially deferred for each row execute function postmill._edge_at_commit();

-- Channels on which the end of a message is awaited. Unlogged: a hint; whoever waits also polls.
create unlogged table postmill.waiters (
    queue_name text collate "C" not null,
    msg_id     bigint not null,
    channel    text not null,
    since      timestamptz not null default clock_timestamp(),
    primary key (queue_name, msg_id, channel)
);
create index waiters_since on postmill.waiters (since);

-- Within so many seconds an idle worker looks of its own accord: a message that is due later need not wake it.
alter table postmill.idle_workers add column max_poll_s double precision not null default 5;

-- A worker of an earlier release would run at once what has to wait, and find no message that is parked: it is asked to
-- finish what it runs and stop.
update postmill.workers set deprecated_at = clock_timestamp() where stopped_at is null and deprecated_at is null;

-- Functions that have further parameters now. With the old ones beside them, a call would be ambiguous.
drop function if exists postmill.send(text, jsonb, interval, timestamptz, jsonb);
drop function if exists postmill.send_batch(text, jsonb[], interval, timestamptz, jsonb[]);

-- Functions that return further columns now, or are told more: a signature can't be replaced in place.
drop function if exists postmill.queue_stats(text, boolean);
drop function if exists postmill.messages(text, text, integer, bigint, bigint);
drop function if exists postmill.set_retention(text, interval);
drop function if exists postmill._depth(text, boolean);
drop function if exists postmill._few_ids(text, text);
drop function if exists postmill._state(integer, timestamptz, uuid);

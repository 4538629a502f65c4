-- Operations: one thing done to many messages or dead letters, a page a transaction, while everybody looks on.
-- Lock order: the operation, queue rows by msg_id (or letters by letter_id), then as the single action; operation_rows.

-- One row an operation. What it is about is frozen when it starts: later messages have ids above `upper_id`.
create table postmill.operations (
    operation_id    bigint generated always as identity primary key,
    kind            text not null check (kind in ('cancel', 'retry', 'move', 'replay', 'discard')),
    queue_name      text not null,
    filter          jsonb not null default '{}',     -- see the function _matching
    target          text,                            -- the queue that a move goes to
    upper_id        bigint not null,                 -- of messages, or of letters
    expected        bigint,                          -- how many matched when it was asked for; null: not counted
    per_second      double precision check (per_second > 0),  -- null: as fast as it goes
    state           text not null default 'queued' check (state in ('queued', 'running', 'done', 'aborted', 'failed')),
    position        bigint not null default 0,       -- how far it has come
    is_again        boolean not null default false,  -- it looks once more at what was busy
    done            bigint not null default 0,
    skipped         bigint not null default 0,       -- not possible: see operation_rows
    failed          bigint not null default 0,       -- the database refused them
    busy            bigint not null default 0,       -- held by another session
    requested_by    text not null default session_user,
    requested_at    timestamptz not null default clock_timestamp(),
    next_at         timestamptz not null default '-infinity', -- when the next page is due
    ended_at        timestamptz,
    error           text,
    idempotency_key text unique
);
create index operations_open on postmill.operations (next_at) where ended_at is null;
create index operations_ended on postmill.operations (ended_at) where ended_at is not null;

-- What became of each message or letter that it came to.
create table postmill.operation_rows (
    operation_id bigint not null,
    id           bigint not null,   -- msg_id, or letter_id of a replay or a discard
    outcome      text not null,
    detail       text,
    primary key (operation_id, id)
);
create index operation_rows_busy on postmill.operation_rows (operation_id, id) where outcome = 'busy';

-- What people asked for on their pages.

-- The places of payloads and headers that are to be found by an index. A row says what is wanted: whether the indexes
-- of the archive and of the dead letters are there, the catalogue says (function search_index_list).
create table postmill.search_indexes (
    queue_name text not null,
    place      text not null,  -- as a search has it before "=": payload.user.id, header.x
    created_at timestamptz not null default clock_timestamp(),
    primary key (queue_name, place)
);

-- What the payloads of a queue look like, as the worker that started last has said: a JSON Schema for its handler (task
-- '') and for each of its tasks. For people who send by hand; no worker goes by it.
create table postmill.payload_types (
    queue_name    text not null,
    task          text not null,
    function_name text not null,  -- the worker's
    schema        json not null,  -- as it was given: its fields are in the order of the code
    noted_at      timestamptz not null default clock_timestamp(),
    primary key (queue_name, task)
);

-- The last lines that an attempt that failed has logged, where its worker keeps them (keep_log). A worker writes them
-- before the failure itself: an attempt whose worker died between the two has lines and no failure.
create table postmill.attempt_logs (
    queue_name text not null,
    msg_id     bigint not null,
    attempt    integer not null,
    lines      text[] not null,
    logged_at  timestamptz not null default clock_timestamp(),
    primary key (queue_name, msg_id, attempt)
);
create index attempt_logs_logged_at on postmill.attempt_logs (queue_name, logged_at);

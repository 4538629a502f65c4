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
    schema        jsonb not null,
    noted_at      timestamptz not null default clock_timestamp(),
    primary key (queue_name, task)
);

-- What people asked for on their pages.

-- The places of payloads and headers that are to be found by an index. A row says what is wanted: whether the indexes
-- of the archive and of the dead letters are there, the catalogue says (function search_index_list).
create table postmill.search_indexes (
    queue_name text not null,
    place      text not null,  -- as a search has it before "=": payload.user.id, header.x
    created_at timestamptz not null default clock_timestamp(),
    primary key (queue_name, place)
);

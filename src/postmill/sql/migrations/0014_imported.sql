-- What was copied from other databases.

-- One row a thing that postmill import has copied: the mark by which the next run knows it. Written in the transaction
-- that writes the message, so there is neither one without the other. Gone with the queue.
create table postmill.imported (
    source      text not null,                   -- the server, the database and the table that it was read from
    key         text not null,                   -- which one there
    queue_name  text not null,
    msg_id      bigint not null,                 -- what it has become
    imported_at timestamptz not null default clock_timestamp(),
    primary key (source, key)
);
create index imported_queue on postmill.imported (queue_name);

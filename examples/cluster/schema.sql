-- One row a document: its signature. Two documents have as many equal numbers in theirs as they share text.
create table if not exists public.signatures (
    file text primary key,
    words integer not null,
    signature bigint[] not null
);

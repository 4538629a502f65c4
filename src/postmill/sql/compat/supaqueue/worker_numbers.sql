-- Which workers a queue has, by their numbers. How many there are, the queue's limit says: it is the first so many of
-- these, and the next numbers where these are too few. Without a row it is 1, 2, 3 and so on.
create table if not exists supaqueue.worker_numbers (
    queue   uuid primary key,
    numbers integer[] not null
);
comment on table supaqueue.worker_numbers is 'Facade supaqueue of Postmill: which workers a queue has.';

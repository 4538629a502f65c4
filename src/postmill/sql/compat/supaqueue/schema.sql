-- The tables that people with Supaqueue write to, as views over call queues. A queue is a call queue, a job is a
-- message of one, the workers are the queue's limit, a dependency is an edge between messages. Everything runs with its
-- caller's rights, and nothing is open to PUBLIC: what to grant stands in docs/coming-from/supaqueue.md.
-- An id says what it is the id of. The id of a queue is made of its name and the moment it was created. The id of a
-- job is that of its queue with the number of its message in the last digits, so no table has to keep the two
-- together, and none can get it wrong.
create schema if not exists supaqueue;
comment on schema supaqueue is 'Facade supaqueue of Postmill: the tables and functions people know from Supaqueue.';

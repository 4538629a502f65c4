-- The functions that clients of Supabase Queues call, by hand or as rpc through PostgREST: pgmq's own, with Supabase's
-- names and arguments. They run with their caller's rights, and nothing is open to PUBLIC: what to grant stands in
-- docs/coming-from/supabase-queues.md.
create schema if not exists pgmq_public;
comment on schema pgmq_public is 'Facade pgmq_public of Postmill: the functions people know from Supabase Queues.';

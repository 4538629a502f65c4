-- The schema of Supaworker's second version, and what Postmill needs for both versions. Supaworker's own clients use it
-- as theirs; nothing is open to PUBLIC: what to grant stands in docs/coming-from/supaworker.md.
create schema if not exists supaworker;
comment on schema supaworker is 'Facade supaworker of Postmill: the tables and functions people know from Supaworker.';

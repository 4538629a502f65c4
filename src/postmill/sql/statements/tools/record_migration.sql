-- Writes down a migration, and that functions and views must be created again on top of it (an empty digest). Called
-- by postmill.db.tools.migrate in the transaction that ran it. The values are our own files' names and digests,
-- spliced in so that the text printed by `postmill migrate --sql` is the text that runs.
insert into postmill.migrations (number, name, sha256) values ({number}, '{name}', '{sha256}');
update postmill.components set sha256 = '' where name like '%/%';

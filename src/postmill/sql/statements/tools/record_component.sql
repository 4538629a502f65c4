-- Writes down a component. Called by postmill.db.tools.migrate in the transaction that installed it; see
-- record_migration.
insert into postmill.components (name, version, sha256) values ('{name}', '{version}', '{sha256}')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();

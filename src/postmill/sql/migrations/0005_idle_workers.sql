-- The table says what its rows are: workers that are idle and want to be woken. Notifications to them say `claim` or `standby` now.
alter table postmill.listeners rename to idle_workers;
alter index postmill.listeners_pkey rename to idle_workers_pkey;

-- A worker of an earlier release knows neither the table nor the words: it is asked to finish what it runs and stop.
update postmill.workers set deprecated_at = clock_timestamp() where stopped_at is null and deprecated_at is null;

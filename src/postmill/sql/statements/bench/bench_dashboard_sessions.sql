-- The sessions of dashboards: their processes. Called by: bench dashboard. Takes no locks.
select pid from pg_stat_activity where application_name like 'postmill dashboard%' and datname = current_database()

-- A session in words, and what is known of it: its process, its program, since when its transaction is open, and what
-- it does or did last. A transaction without a session is a prepared one. What others run is shown to members of
-- pg_read_all_stats only.
-- Called by _table_lockers, _row_locker and _whereabouts. Takes no locks. Errors: none.
create or replace function postmill._session(pid integer) returns table (said text, detail jsonb)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce('process ' || _session.pid
               || coalesce(' (' || nullif(
                   concat_ws(', ', nullif(activity.application_name, ''), activity.state), '') || ')', '')
               || coalesce(', whose transaction is open since ' || postmill._moment(activity.xact_start), ''),
               'a prepared transaction'),
        jsonb_build_object(
            'pid', _session.pid, 'application', nullif(activity.application_name, ''), 'state', activity.state,
            'since', activity.xact_start, 'query', nullif(left(activity.query, 200), ''))
    from (select) as always left join pg_catalog.pg_stat_activity as activity on activity.pid = _session.pid;
$$;

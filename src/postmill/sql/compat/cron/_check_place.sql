-- Refuses another database and another user. Errors: feature_not_supported.
create or replace function cron._check_place(database text, username text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if database <> current_database() then
        raise exception 'a job runs in the database that it is scheduled in, which is %', current_database()
            using errcode = 'feature_not_supported',
                  hint = format('Run postmill migrate in %s, and schedule it there.', database);
    elsif username <> current_user then
        raise exception 'a job runs as the user who schedules it, which is %', current_user
            using errcode = 'feature_not_supported', hint = format('First: set role %I', username);
    end if;
end
$$;
comment on function cron._check_place is 'Facade cron of Postmill: refuses another database and another user.';

-- Makes the function through which a schedule's command runs, and lets no role write a command that runs as another. It
-- runs as whoever writes the row, and so the function belongs to that user: a command can't be given to anybody else.
-- The command stands in the function's body. As an argument it would let the scheduler be everybody. The function's
-- name has a random part: any user may make functions there, and could take a name that is known. A superuser's command
-- has no function: only a process that is logged in as that superuser runs it. The search_path is the one the
-- user has after logging in. Deferred constraints are checked before the function ends, as its user: at the commit they
-- would run as the scheduler.
-- Called by: trigger on postmill.schedules, after insert and update; it can use nothing of schema postmill, where the
-- user may have no rights. Takes no locks. Errors: insufficient_privilege.
create or replace function postmill._write_command() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    by_superuser  boolean := (select role.rolsuper from pg_catalog.pg_roles as role where role.rolname = current_user);
    its_superuser boolean := (select role.rolsuper from pg_catalog.pg_roles as role where role.rolname = new.run_as);
    its_path      text;
    body          text;
    made          text;  -- the function that is there already, or null
begin
    if tg_op = 'UPDATE' then
        if (new.run_as, new.target) is not distinct from (old.run_as, old.target) then
            return null;
        elsif old.run_as <> current_user and not by_superuser then
            raise exception 'the command of schedule % belongs to %', quote_literal(old.name), old.run_as
                using errcode = 'insufficient_privilege', hint = format('Only %I can change it.', old.run_as);
        end if;
        select known.oid::regprocedure into made from pg_catalog.pg_proc as known
        where known.proname between format('job_%s_', old.schedule_id)::name
                                and format('job_%s_g', old.schedule_id)::name
          and known.pronamespace = 'postmill_commands'::regnamespace and known.pronargs = 0
          and known.proowner = to_regrole(quote_ident(old.run_as))
        order by known.oid limit 1;
        if made is not null and new.run_as is distinct from old.run_as then
            execute format('drop function %s', made);
            made := null;
        end if;
    end if;
    if new.run_as is null then
        return null;
    elsif new.run_as <> current_user and not by_superuser then
        raise exception '% can''t schedule a command that runs as %', current_user, new.run_as
            using errcode = 'insufficient_privilege', hint = 'A command runs as the user who schedules it.';
    elsif its_superuser then
        return null;
    elsif not (pg_catalog.has_schema_privilege(new.run_as, 'postmill_commands', 'usage')
               and pg_catalog.has_schema_privilege(new.run_as, 'postmill_commands', 'create')) then
        raise exception '% may not schedule commands', new.run_as
            using errcode = 'insufficient_privilege',
                  hint = format('As the owner of schema postmill_commands: '
                                'grant usage, create on schema postmill_commands to %I', new.run_as);
    end if;
    select substr(said.setting, length('search_path=') + 1) into its_path
    from pg_catalog.pg_db_role_setting as given
    cross join unnest(given.setconfig) as said (setting)
    where starts_with(said.setting, 'search_path=')
      and given.setrole in (0, (select role.oid from pg_catalog.pg_roles as role where role.rolname = new.run_as))
      and given.setdatabase in (0, (select d.oid from pg_catalog.pg_database as d where d.datname = current_database()))
    order by given.setrole <> 0 desc, given.setdatabase <> 0 desc limit 1;
    its_path := coalesce(its_path, (select known.reset_val from pg_catalog.pg_settings as known
                                    where known.name = 'search_path'));
    made := coalesce(made, format('postmill_commands.job_%s_%s()', new.schedule_id,
                                  replace(gen_random_uuid()::text, '-', '')));
    body := format(
        'declare touched bigint; begin '
        'if not exists (select from postmill_commands.running_here where schedule_id = %s) then '
        'raise insufficient_privilege using message = '
        '''only a run of its schedule calls this function''; end if; '
        'execute %L; get diagnostics touched = row_count; set constraints all immediate; return touched; end',
        new.schedule_id, new.target ->> 'command');
    body := format(
        'create or replace function %s returns bigint language plpgsql security definer '
        'set search_path from current as %L', made, body);
    perform pg_catalog.set_config('search_path', its_path, true);
    execute body;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    execute format('alter function %s owner to %I', made, new.run_as);
    execute format('revoke all on function %s from public', made);
    if to_regrole('postmill_nobody') is not null then
        execute format('grant execute on function %s to postmill_nobody', made);
    end if;
    return null;
end
$$;

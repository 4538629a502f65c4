-- Before the facade supaworker is removed: gives back what Supaworker's own migration, run after ours, has made its
-- own (it loses the mark, and stays), and refuses to drop a table that holds rows. A stranger's objects are passed by.
-- Called by postmill.db.tools.migrate under its lock. Locks the tables that are to go, against every use. Errors:
-- dependent_objects_still_exist, with the tables that hold rows.
do $$
declare
    has_their_jobs constant boolean := exists (
        select from pg_attribute where attrelid = to_regclass('public.supaworker_jobs') and attidentity <> '');
    has_their_logs constant boolean := exists (
        select from pg_constraint where conrelid = to_regclass('public.supaworker_logs') and contype = 'p');
    marked         record;
    holds          boolean;
    filled         text[] := '{}';
begin
    for marked in
        select object.type, object.identity,
            has_their_jobs and (object.type, object.identity) in (
                ('table', 'public.supaworker_jobs'), ('function', 'public.dequeue(character varying)'))
            or has_their_logs and (object.type, object.identity) = ('table', 'public.supaworker_logs') as is_theirs
        from pg_description as mark, pg_identify_object(mark.classoid, mark.objoid, mark.objsubid) as object
        where mark.description like 'Facade supaworker of Postmill:%' and mark.objsubid = 0
          and object.type in ('table', 'function')
          and not exists (
              select from pg_shdepend as held
              where held.dbid = (select oid from pg_database where datname = current_database())
                and held.classid = mark.classoid and held.objid = mark.objoid and held.deptype = 'o'
                and held.refobjid not in (
--+ facade_owners
                ))
        order by mark.objoid
    loop
        if marked.is_theirs then
            execute format('comment on %s %s is null', marked.type, marked.identity);
        elsif marked.type = 'table' then
            execute format('lock table %s in access exclusive mode', marked.identity);
            execute format('select exists (select from %s)', marked.identity) into holds;
            if holds then
                filled := filled || marked.identity;
            end if;
        end if;
    end loop;
    if filled <> '{}' then
        raise exception 'facade supaworker holds rows'
            using errcode = 'dependent_objects_still_exist',
                  detail = format('Rows are in %s, and rows are never dropped', array_to_string(filled, ', '));
    end if;
end
$$;

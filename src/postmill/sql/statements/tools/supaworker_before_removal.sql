-- Before the facade supaworker is removed: gives back what Supaworker's own migration, run after ours, has made its
-- own (it is then no longer marked, and stays), and refuses to drop a table that holds rows.
-- Called by postmill.db.tools.migrate under its lock. Locks the tables that are to go, against every use. Errors:
-- dependent_objects_still_exist, with the tables that hold rows.
do $$
declare
    given  record;
    ours   regclass;
    holds  boolean;
    filled text[] := '{}';
begin
    for given in
        select object.type, object.identity
        from pg_description as mark, pg_identify_object(mark.classoid, mark.objoid, mark.objsubid) as object
        where mark.description like 'Facade supaworker of Postmill:%' and mark.objsubid = 0 and (
            exists (select from pg_attribute where attrelid = to_regclass('public.supaworker_jobs') and attidentity <> '')
            and (mark.classoid = 'pg_class'::regclass and mark.objoid = to_regclass('public.supaworker_jobs')
                 or mark.classoid = 'pg_proc'::regclass
                 and mark.objoid = to_regprocedure('public.dequeue(character varying)'))
            or exists (select from pg_constraint where conrelid = to_regclass('public.supaworker_logs') and contype = 'p')
            and mark.classoid = 'pg_class'::regclass and mark.objoid = to_regclass('public.supaworker_logs'))
    loop
        execute format('comment on %s %s is null', given.type, given.identity);
    end loop;
    for ours in
        select mark.objoid from pg_description as mark
        join pg_class as class on class.oid = mark.objoid and class.relkind = 'r'
        where mark.classoid = 'pg_class'::regclass and mark.objsubid = 0
          and mark.description like 'Facade supaworker of Postmill:%'
        order by mark.objoid
    loop
        execute format('lock table %s in access exclusive mode', ours);
        execute format('select exists (select from %s)', ours) into holds;
        if holds then
            filled := filled || ours::text;
        end if;
    end loop;
    if filled <> '{}' then
        raise exception 'facade supaworker holds rows'
            using errcode = 'dependent_objects_still_exist',
                  detail = format('Rows are in %s, and rows are never dropped', array_to_string(filled, ', '));
    end if;
end
$$;

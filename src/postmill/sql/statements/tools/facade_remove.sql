-- Removes a facade: everything in this database whose comment begins with the mark of the facade, which is called
-- {facade}, apart from what a stranger owns. An object that another one needs is dropped in a later round. What is left
-- when a round drops nothing is needed by something that is not ours: it stops the whole removal. What went along with
-- another object has no identity any more: rows of a round are read while it drops, where no sort comes before.
-- Called by postmill.db.tools.migrate under its lock. Locks what it drops. Errors: dependent_objects_still_exist, with
-- what is in the way; insufficient_privilege.
do $$
declare
    ours    record;
    dropped integer;
    in_way  text;
begin
    loop
        dropped := 0;
        in_way := null;
        for ours in
            select object.type, object.identity
            from pg_description as mark,
                 pg_identify_object(mark.classoid, mark.objoid, mark.objsubid) as object
            where mark.description like 'Facade {facade} of Postmill:%' and mark.objsubid = 0
              and object.identity is not null
              and not exists (
                  select from pg_shdepend as held
                  where held.dbid = (select oid from pg_database where datname = current_database())
                    and held.classid = mark.classoid and held.objid = mark.objoid and held.deptype = 'o'
                    and held.refobjid not in (
--+ facade_owners
                    ))
            order by mark.objoid desc
        loop
            begin
                execute format('drop %s if exists %s restrict', ours.type, ours.identity);
                dropped := dropped + 1;
            exception when dependent_objects_still_exist then
                get stacked diagnostics in_way = pg_exception_detail;
            end;
        end loop;
        exit when dropped = 0;
    end loop;
    if in_way is not null then
        raise exception 'facade {facade} is in use' using errcode = 'dependent_objects_still_exist', detail = in_way;
    end if;
end
$$;
delete from postmill.components where name = 'compat/{facade}';

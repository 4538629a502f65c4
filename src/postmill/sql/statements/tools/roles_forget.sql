-- Forgets that this database uses Postmill's roles: the next migration grants nothing. Removes what one of them owns.
-- Called by postmill.db.tools.roles when it has taken the roles' rights. Errors: insufficient_privilege.
drop function if exists postmill.call_command(text);
do $$
begin
    if to_regclass('postmill.components') is not null then
        delete from postmill.components where name = 'roles';
    end if;
end
$$;

-- The calls that the caller's roles have asked for and that are not answered.
create or replace view net.http_request_queue with (security_barrier) as
select asked.call_id as id, asked.method, asked.url, asked.headers, asked.body,
       asked.timeout_ms as timeout_milliseconds
from postmill.calls as asked
where exists (select from pg_catalog.pg_roles as role
              where role.rolname = asked.created_by and pg_has_role(role.oid, 'member'));
comment on view net.http_request_queue is 'Facade net of Postmill: the calls of the caller''s roles that wait.';

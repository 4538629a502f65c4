-- The answers to calls that the caller's roles have asked for.
create or replace view net._http_response with (security_barrier) as
select answer.call_id as id, answer.status_code, answer.content_type, answer.headers, answer.content,
       answer.timed_out, answer.error_msg, answer.created_at as created
from postmill.call_responses as answer
where exists (select from pg_catalog.pg_roles as role
              where role.rolname = answer.created_by and pg_has_role(role.oid, 'member'));
comment on view net._http_response is 'Facade net of Postmill: the answers to the calls of the caller''s roles.';

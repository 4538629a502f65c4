-- What follows the end of messages: those that they were to send, those that wait for them, and their schedules.
-- Called by the statements complete, dead_letter and cancel_running and by cancel, for messages whose headers have one
-- of postmill-dependents, postmill-then, postmill-else, postmill-run, or are no object: those can't be marked. They
-- hold the messages' rows. `fate`: completed, dead or cancelled. Locks and errors as _release and _follow_up.
create or replace function postmill._ended(queue text, ids bigint[], headers jsonb[], fate text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._follow_up(queue, ended.id, ended.headers, fate)
    from unnest(ids, headers) as ended (id, headers)
    where ended.headers ?| array['postmill-then', 'postmill-else'];
    perform postmill._end_runs(queue, array(
        select ended.headers from unnest(headers) as ended (headers) where ended.headers ? 'postmill-run'), fate);
    perform postmill._release(queue, array(
        select ended.id from unnest(ids, headers) as ended (id, headers)
        where ended.headers ? 'postmill-dependents' or jsonb_typeof(ended.headers) <> 'object'
        order by ended.id), fate);
end
$$;

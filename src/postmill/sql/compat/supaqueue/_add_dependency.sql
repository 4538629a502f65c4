-- Trigger function: job `target` waits for job `source`; when that fails, until it was tried again and has succeeded.
-- A source that has succeeded is waited for no more. Dependencies are added one transaction after the other: two at
-- once could close a ring. (Messages that are sent with `after` name older ones only, and can't close one.)
-- Called by inserts into supaqueue.job_dependencies. Lock order: an advisory lock, then as _lock_waiting, gates; at
-- commit as _edge_at_commit. The target's row in blocked is held until then: with a settlement that ends another of its
-- sources together with this one that may be a deadlock, of which the insert can be repeated, and the settlement leaves
-- its part to the sweep. Errors: as _job_of_id and _check_source; PM003 a ring, PM005 the target has begun or the row
-- is there already, deadlock_detected.
create or replace function supaqueue._add_dependency() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    source supaqueue._known_job := supaqueue._job_of_id(new.source);
    target supaqueue._known_job := supaqueue._job_of_id(new.target);
begin
    perform pg_advisory_xact_lock(hashtext('supaqueue.job_dependencies'));
    if supaqueue._waits_for(source.queue_name, source.msg_id, target.queue_name, target.msg_id) then
        raise exception 'job % would wait for itself', new.target
            using errcode = 'PM003', detail = format('Job %s waits for it.', new.source),
                  hint = 'Take away a row of supaqueue.job_dependencies, or leave this one out.';
    elsif not supaqueue._lock_waiting(target.queue_name, target.msg_id) then
        raise exception 'job % has begun, or has ended', new.target
            using errcode = 'PM005',
                  hint = 'Insert a job with the status null, then its dependencies, and set it to pending last.';
    elsif exists (select from supaqueue.job_dependencies as known
                  where known.source = new.source and known.target = new.target) then
        raise exception 'job % waits for job % already', new.target, new.source
            using errcode = 'PM005', hint = 'One row is enough.';
    end if;
    new.created_at := coalesce(new.created_at, clock_timestamp());
    if source.state <> 'success' then
        perform postmill._check_source(lower(source.queue_name), source.msg_id);
        perform supaqueue._block(source, target);
    end if;
    return new;
end
$$;
revoke execute on function supaqueue._add_dependency from public;
create or replace trigger add_dependency instead of insert on supaqueue.job_dependencies for each row
    execute function supaqueue._add_dependency();
comment on function supaqueue._add_dependency is 'Facade supaqueue of Postmill: lets a job wait for another one.';

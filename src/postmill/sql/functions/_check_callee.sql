-- Refuses what calls nothing, or two things: `what` is a call queue or a call.
-- Called by create_call_queue and schedule_call. Takes no locks. Errors: PM003.
create or replace function postmill._check_callee(what text, function text, url text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if num_nonnulls(function, url) <> 1 then
        raise exception 'a % has a function or a url', what
            using errcode = 'PM003', hint = 'For example function => ''resize'', or url => ''https://...''.';
    elsif function !~ '^[A-Za-z][A-Za-z0-9_-]{0,99}$' then
        raise exception '% is not a name for a function', quote_literal(function)
            using errcode = 'PM003', hint = 'It is the last part of the function''s URL, e.g. hello or send-mail.';
    end if;
end
$$;

-- Refuses a queue name that we do not create. The rule is the one of _is_queue_name. Where a queue has that name in
-- other letters, the hint names it.
-- Called by create_queue. Takes no locks. Errors: PM002.
create or replace function postmill._check_queue_name(name text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    known constant text := postmill._queue_name_of(name);
begin
    if postmill._is_queue_name(name) then
        return;
    elsif position('--' in name) > 0 then
        raise exception '% is not a queue name that pgmq accepts', quote_literal(name)
            using errcode = 'PM002', detail = 'pgmq refuses names with two hyphens in a row.',
                  hint = 'Use one hyphen or an underscore.';
    end if;
    raise exception '% is not a queue name that Postmill creates', coalesce(quote_literal(name), 'null')
        using errcode = 'PM002',
              detail = 'A name has 1 to 47 characters out of a-z, 0-9, _ and -, and does not start with -.',
              hint = case when known <> name then format('Did you mean %s?', known)
                          else 'Choose another name, e.g. ''emails'' or ''resize-images''.' end;
end
$$;

-- Trigger function: gives a failed attempt its fingerprint. Attempts are alike when their kind, the error's type and
-- its message are, numbers, ids and quoted words in it apart, and they failed in one function of one file: the
-- innermost frame that is not of an installed package, of Python or of Postmill. Line numbers do not count: they change
-- with every release.
-- Called by the trigger add_fingerprint on failures. Takes no locks. Errors: none.
create or replace function postmill._add_fingerprint() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    place text;
    said  text := left(coalesce(new.error_message, ''), 1000);
begin
    select format('%s %s', regexp_replace(frame.parts[1], $re$^.*[/\\]([^/\\]+[/\\][^/\\]+)\Z$re$, $re$\1$re$),
                  frame.parts[2])
    into place
    from regexp_matches(new.traceback, $re$File "([^"]+)", line \d+, in (\S+)$re$, 'g') with ordinality
        as frame (parts, number)
    where frame.parts[1] !~* $re$(site|dist)-packages|[/\\]lib[/\\]python\d|[/\\]python\d+[/\\]lib[/\\]$re$
      and frame.parts[1] !~* $re$[/\\]postmill[/\\]|^<$re$
    order by frame.number desc limit 1;
    said := regexp_replace(said, $re$(^|\W)('[^']*'|"[^"]*")(?=\W|$)$re$, $re$\1<text>$re$, 'g');
    said := regexp_replace(said, $re$\S+@\S+$re$, '<address>', 'g');
    said := regexp_replace(said, $re$\m(0x)?(?=[0-9a-f-]*\d)[0-9a-f]{4,}(-[0-9a-f]+)*\M$re$, '<id>', 'gi');
    said := regexp_replace(said, $re$\d+([.,:]\d+)*$re$, '<number>', 'g');
    new.fingerprint := lpad(to_hex(hashtextextended(
        concat_ws(E'\n', new.kind, coalesce(new.error_type, ''), said, coalesce(place, '')), 0)), 16, '0');
    return new;
end
$$;

-- How many messages a queue's archive has more than `most`; 0 when it has not, when `most` is null, or when the archive
-- was taken away. An archive of at most 400 pages is counted. Of a larger one about 400 pages are read and stand for
-- the rest, in about 5 ms: always the same ones, so that repeated looks do not add their errors up. How many pages the
-- server really takes varies by a twentieth, so three times that is not taken for excess. An archive whose newest
-- message has an id of at most `most` is not looked at: it can't have more.
-- Called by prune. Takes no locks. Errors: those of the table (no privilege, lock timeout).
create or replace function postmill._archive_excess(queue text, most bigint) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    sample_pages constant float8 := 400;
    sure         constant float8 := 0.85;
    archive      regclass := to_regclass(format('pgmq.%I', lower('a_' || queue)));
    pages        bigint := postmill._pages(archive);
    counted      bigint;
    may_be       boolean;
begin
    if archive is null or most is null then
        return 0;
    end if;
    execute format('select max(msg_id) > $1 from %s', archive) into may_be using most;
    if may_be is not true then
        return 0;
    elsif pages <= sample_pages then
        execute format('select count(*) from %s', archive) into counted;
    else
        execute format('select count(*) from %s tablesample system (%s) repeatable (0)',
                       archive, 100 * sample_pages / pages)
        into counted;
        counted := counted * pages / sample_pages * sure;
    end if;
    return greatest(0, counted - most);
end
$$;

-- Which of these unique keys nothing holds; all of them when the queue is gone.
-- Called by _prune_keys. Takes no locks. Errors: none.
create or replace function postmill._free_keys(queue text, keys text[]) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if to_regclass(format('pgmq.%I', lower('q_' || queue))) is null then
        return keys;
    end if;
    return array(
        select known.key from unnest(keys) as known (key)
        except select held.unique_key from postmill._held_keys(queue, keys) as held);
end
$$;

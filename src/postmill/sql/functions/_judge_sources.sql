-- Finds out how sources that are gone have ended, and passes that on to the messages that wait for them, waiting for no
-- lock. A source that left no trace is dead, unless it is one of `seen`: those were in their queue when the message was
-- sent, so they were finished since. A message that waits for a replayed letter waits for the new message.
-- Called by _tell_sources and the sweep. `follows`, result and locks as _pass_on. Errors: none of its own.
create or replace function postmill._judge_sources(queue text, ids bigint[], seen bigint[], follows boolean)
returns table (queue_name text, msg_id bigint, headers jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    judged record;
begin
    for judged in
        select found.fate, found.moved_to, array_agg(found.id order by found.id) as ids
        from (select known.msg_id as id, known.moved_to,
                  case when known.fate = 'unknown' and known.msg_id = any (seen) then 'completed'
                  else known.fate end as fate
              from postmill._fates(queue, ids) as known) as found
        group by found.fate, found.moved_to
    loop
        if judged.fate = 'replayed' then
            perform postmill._move_edges(queue, judged.ids[1], judged.moved_to);
        else
            return query select * from postmill._pass_on(queue, judged.ids, judged.fate, follows => follows);
        end if;
    end loop;
end
$$;

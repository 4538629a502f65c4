-- One step of the sweep over the messages that wait for others, for messages of one queue. `step`: ended (sources whose
-- end was noted as `fate`), free (messages that wait for nothing any more), sources (those of the walk over all edges)
-- or targets (those of the walk over all blocked messages).
-- Called by sweep_dependents. Lock order: as _release, without waiting. Errors: none; they are warnings, unless they
-- pass by themselves.
create or replace function postmill._sweep_step(step text, queue text, ids bigint[], fate text default null)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if step = 'ended' then
        perform postmill._follow_up(gone.queue_name, gone.msg_id, gone.headers, 'cancelled')
        from postmill._pass_on(queue, ids, fate) as gone;
        delete from postmill.ended
        where ended.queue_name = queue and ended.msg_id = any (ids)
          and not exists (select from postmill.edges as edge
                          where edge.source_queue = queue and edge.source_id = ended.msg_id
                            and (ended.fate not in ('dead', 'cancelled') or not edge.died) offset 0);
    elsif step = 'free' then
        perform postmill._open(queue, ids);
    elsif step = 'sources' then
        perform postmill._follow_up(gone.queue_name, gone.msg_id, gone.headers, 'cancelled')
        from postmill._judge_sources(queue, postmill._gone_sources(queue, ids), '{}', follows => true) as gone;
    else
        perform postmill._tidy_targets(queue, ids);
    end if;
exception
    when others then
        if not postmill._passes(sqlstate) then
            raise warning 'messages that wait in queue %, or for it, can''t be looked after: %',
                quote_literal(queue), sqlerrm using errcode = sqlstate;
        end if;
end
$$;

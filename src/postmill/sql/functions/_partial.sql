-- What a map has given, with the items that failed: {"results": [...], "errors": [{"item", "reason"}]}. Of any other
-- step its output stands for the results. Null: the step has given nothing.
-- Called by _step_inputs. Takes no locks. Errors: none.
create or replace function postmill._partial(of_step postmill.steps) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
    if of_step.state <> 'completed' then
        return null;
    end if;
    return jsonb_build_object(
        'results', postmill._output(of_step),
        'errors', (select coalesce(jsonb_agg(jsonb_build_object('item', i.item, 'reason', i.reason) order by i.item),
                                   '[]')
                     from postmill.items as i
                    where i.run_id = of_step.run_id and i.step = of_step.step and i.ended and i.reason is not null));
end
$$;

-- What a map runs over: the value at `place`, and no items where its source was skipped. It may be no list: then the
-- caller fails the step; null stands for nothing there.
-- Called by _begin_steps. Takes no locks. Errors: none.
create or replace function postmill._list_of(place jsonb, run_id bigint, input jsonb) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
    if exists (select from postmill.steps as step
                where step.run_id = _list_of.run_id and step.step = place ->> 'of' and step.state = 'skipped') then
        return '[]';
    end if;
    return postmill._value_at(place, run_id, input);
end
$$;

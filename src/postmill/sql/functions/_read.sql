-- What one edge gives: {"of", "path", "as"}. Null: nothing is there.
-- Called by _step_inputs. Takes no locks. Errors: none.
create or replace function postmill._read(edge jsonb, run_id bigint, input jsonb) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
    if edge ->> 'as' <> 'partial' then
        return postmill._value_at(edge, run_id, input);
    end if;
    return (select postmill._partial(s) from postmill.steps as s
             where s.run_id = _read.run_id and s.step = edge ->> 'of');
end
$$;

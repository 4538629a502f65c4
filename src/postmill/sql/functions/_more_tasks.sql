-- The tasks of both, in this order.
-- Called by whatever starts steps in more than one go. Takes no locks. Errors: none.
create or replace function postmill._more_tasks(first postmill.flow_tasks, further postmill.flow_tasks)
returns postmill.flow_tasks
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if first.run_ids is null then
        return further;
    elsif further.run_ids is null then
        return first;
    end if;
    return row(first.run_ids || further.run_ids, first.steps || further.steps, first.queues || further.queues,
               first.due_at || further.due_at, first.messages || further.messages,
               first.priorities || further.priorities,
               case when num_nonnulls(first.groups, further.groups) > 0
                    then coalesce(first.groups, array_fill(null::text, array[cardinality(first.run_ids)]))
                         || coalesce(further.groups, array_fill(null::text, array[cardinality(further.run_ids)]))
               end)::postmill.flow_tasks;
end
$$;

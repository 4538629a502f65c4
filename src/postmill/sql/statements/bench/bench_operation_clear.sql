-- Removes operation $1 with what became of its messages. Called by: bench dashboard. Locks their rows.
with told as (
    delete from postmill.operation_rows where operation_id = $1::bigint
)
delete from postmill.operations where operation_id = $1::bigint

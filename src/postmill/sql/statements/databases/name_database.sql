-- Gives a database its name $1, or makes sure that it has it.
-- Called by workers on several databases at their start, and by migrate. Locks and errors as postmill.name_database.
select postmill.name_database($1::text)

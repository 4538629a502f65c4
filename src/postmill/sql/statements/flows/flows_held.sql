-- Whether tasks of flow $1 in the shape $2 (JSON text) are held because a worker lacked their step. Called by: flows
-- keeper. Takes no locks. Errors: none.
select postmill._are_held($1::text, $2::text::jsonb) as held

-- Whether calls of $1 have no answer yet. Called by bench. Takes no locks. Errors: none.
select exists (select from postmill.calls where url = $1::text)

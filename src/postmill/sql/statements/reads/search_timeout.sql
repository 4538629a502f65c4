-- The statements of this transaction take $1 milliseconds at most. Called by the search. Takes no locks.
select set_config('statement_timeout', $1::text, true)

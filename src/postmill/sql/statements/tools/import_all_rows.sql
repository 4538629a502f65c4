-- Has this transaction see every row of a table or fail: row-level security would hide rows without a word, and a count
-- of what is to be imported would be wrong.
-- Called by the importers, at the start of a transaction that reads. Takes no locks. Errors: none; a read that
-- row-level security would cut then fails with insufficient_privilege.
select set_config('row_security', 'off', true)

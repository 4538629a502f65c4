-- How many rows are found by the place of one: as claims and settlements find the rows that they have picked.
-- Called by db server_needs. Takes no locks. Errors: those of a server whose rows have no ctid.
select count(*)::integer as found
  from pg_catalog.pg_namespace as namespace
 where namespace.ctid = any (array(select picked.ctid from pg_catalog.pg_namespace as picked limit 1))

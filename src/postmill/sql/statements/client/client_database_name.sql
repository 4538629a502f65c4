-- The name of the database that a connection leads to; null where it has none.
-- Used by the clients for several databases, once for each connection. Locks: none. Errors: undefined_function where
-- the schema is older.
select postmill.database_name();

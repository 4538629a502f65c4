-- The roles that a facade of ours can belong to: the owner of schema postmill, superusers, and the connected role. Any
-- role may write our mark on what is its own.
select role.oid from pg_catalog.pg_roles as role where role.rolsuper or role.rolname = current_user
union
select namespace.nspowner from pg_catalog.pg_namespace as namespace where namespace.nspname = 'postmill'

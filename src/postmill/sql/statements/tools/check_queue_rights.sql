-- What the connected user may not do with the tables of queues, of what its roles $1 are for: one row a missing
-- privilege, with the grant that gives it. Tables of another owner, such as those of a queue that another client made,
-- are granted by that owner.
-- Called by doctor. Takes no locks. Errors: none.
select upper(needed.privilege) || needed.of_columns || ' on ' || needed.relation as wanted,
       format('grant %s%s on %s%s to %I', needed.privilege, needed.of_columns, needed.kind, needed.relation,
              needed.role_name) as fix
  from (select rights.*, coalesce(' (' || rights.columns || ')', '') as of_columns,
               case when class.relkind = 'S' then 'sequence ' else '' end as kind,
               case when class.relkind = 'S' then has_sequence_privilege(rights.relation, rights.privilege)
                    when rights.columns is null then has_table_privilege(rights.relation, rights.privilege)
                    else has_any_column_privilege(rights.relation, rights.privilege) end as granted
          from pgmq.meta as meta
         cross join lateral postmill._queue_rights(meta.queue_name::text) as rights
          join pg_class as class on class.oid = rights.relation
         where to_regclass(format('pgmq.%I', lower('q_' || meta.queue_name))) is not null
           and rights.role_name = any ($1::text[])) as needed
 where not needed.granted
 order by needed.relation::text, needed.privilege
 limit 20

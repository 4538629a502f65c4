-- Runs as JSON texts, newest first, at most $5: of flow $1, in state $2, with tag $3, older than run $4; null: any.
-- Called by the gateway. Takes no locks. Errors: none.
select to_jsonb(found)::text
  from postmill.run_list as found
 where ($1::text is null or found.flow = $1::text)
   and ($2::text is null or found.state = $2::text)
   and ($3::text is null or $3::text = any (found.tags))
   and ($4::bigint is null or found.run_id < $4::bigint)
 order by found.run_id desc
 limit $5::integer

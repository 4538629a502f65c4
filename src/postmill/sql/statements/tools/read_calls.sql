-- The last calls: those that have not ended come first, newest first; with $1 those of one state, with $2 one call. $3:
-- the most. $4, $5: those behind the call $5, which has ended or not. Each half reads no more than it shows: half a
-- million answers are kept for six hours. Called by the command line and the API. Takes no locks. Errors: none.
with goes_on as (
    select * from postmill.call_list
     where ended_at is null
       and ($1::text is null or state = $1::text) and ($2::bigint is null or call_id = $2::bigint)
       and ($5::bigint is null or not $4::boolean and call_id < $5::bigint)
     order by call_id desc limit $3::integer
), ended as (
    select * from postmill.call_list
     where ended_at is not null
       and ($1::text is null or state = $1::text) and ($2::bigint is null or call_id = $2::bigint)
       and ($5::bigint is null or not $4::boolean or call_id < $5::bigint)
     order by call_id desc limit $3::integer
)
select call_id, state, method, function, url, status_code, attempts, error, created_by,
       coalesce(ended_at, started_at, created_at) as at
  from (select * from goes_on union all select * from ended) as call
 order by ended_at is not null, call_id desc
 limit $3::integer

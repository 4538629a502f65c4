-- Take messages of a queue that wait for a place in their group, and write down one claim for them. Its first seven
-- arguments and its answer are those of the statement claim; more of both is told in the function claim_gated.
-- Called by: engine claimer. $1 the last group's key, $2 messages at most, $3 the lease, $4 the worker, $5 the queue,
-- $6 bytes, $7 the history, $8 `since`, $9 `oldest`, $10 `unseen`, [$11 left out].
-- A locked message may be claimed a moment later: it is a claim that is not `complete` and gives nothing.
-- Locks and errors: postmill.claim_gated.
select taken.claim_id, taken.at as now, lane.known, taken.complete, taken.vt_us, taken.msg_ids, taken.read_cts,
       taken.enqueued_us, taken.messages, taken.headers, taken.failures, taken.lost_leases,
       taken.front_id as front, taken.last_key, taken.rank_ahead, taken.rank_behind, taken.wrapped, taken.seen,
       taken.is_full, taken.is_busy, taken.has_limits, taken.again_in_s
  from (select $7::text =
--+ cursor_history
               as known offset 0) as lane
 cross join lateral postmill.claim_gated(
       $5::text, $2::integer, $3::interval, $4::uuid, $6::integer, lane.known,
       $1::text, $8::timestamptz, $9::bigint, $10::bigint
       , left_out => $11::bigint[] --? left_out
       , has_headers => false --? !headers
       , has_last_read_at => false --? !last_read_at
       , unread => true --? unread
       , front => true --? front
       ) as taken

-- Pin the plans of the hot statements: always the index, in its order, whatever the statistics of an empty or never
-- analysed table say. Hash joins stay on: a settlement joins the list that it was sent with the rows that it touched,
-- and a loop over two lists looks at all pairs, which is quadratic. No queue is ever hashed: its rows are found by
-- `any (array[...])`, which no hash join can use.
-- Called by: db shared_connection, once a connection (flag session) or, behind a pooler, in each transaction (flag
-- local).
set enable_seqscan = off; --? session
set enable_bitmapscan = off; --? session
set enable_sort = off; --? session
set enable_mergejoin = off; --? session
set jit = off; --? session
set plan_cache_mode = force_generic_plan; --? session
set local enable_seqscan = off; --? local
set local enable_bitmapscan = off; --? local
set local enable_sort = off; --? local
set local enable_mergejoin = off; --? local
set local jit = off; --? local

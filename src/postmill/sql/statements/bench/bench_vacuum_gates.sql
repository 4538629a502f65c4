-- Sets hint bits and statistics of the gates after a fill, as bench_vacuum. Called by postmill.bench, outside a
-- transaction.
vacuum (analyze) postmill.gates

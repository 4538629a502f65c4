-- Sets hint bits and statistics after a fill: what autovacuum would do in the middle of a measurement otherwise.
-- Called by postmill.bench, outside a transaction.
vacuum (analyze) {queue}

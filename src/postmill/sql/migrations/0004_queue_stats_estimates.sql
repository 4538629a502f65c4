-- queue_stats has another argument and another column now; a function's signature can't be replaced in place.
drop function if exists postmill.queue_stats(text);

"""Makes HTTP requests that are asked for in SQL, and runs queues whose messages are calls."""

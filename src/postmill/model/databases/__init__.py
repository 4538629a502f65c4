"""Several databases side by side: their names, which queues live where, and the home of a key."""

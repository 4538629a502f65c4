"""Renews a worker's leases and heartbeats, gives back the messages of dead workers, and prunes."""

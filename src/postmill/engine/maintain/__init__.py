"""Keeps a worker alive and its leases its own; gives back what dead workers held; prunes."""

"""Connections, and everything the product itself executes on them."""

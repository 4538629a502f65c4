"""Connections of the hot path, and those that handlers borrow."""

"""Connects, migrates, examines, reads and operates for people."""

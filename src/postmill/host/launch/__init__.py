"""Starts and ends the processes of isolates, and reads what they print."""

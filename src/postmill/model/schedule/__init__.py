"""Schedules as values: when they fire, and what becomes of ticks that were missed. No I/O, no clock."""

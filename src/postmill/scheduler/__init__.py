"""Turns due schedules into messages. Leaderless: whichever process locks a schedule's row fires it."""

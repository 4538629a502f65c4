"""Runs claimed messages to an outcome."""

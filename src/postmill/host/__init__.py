"""The parent side of functions: which there are, their instances, their limits, their ends.

Speaks to the child side only through ``wire``; knows no HTTP server and no authentication.
"""

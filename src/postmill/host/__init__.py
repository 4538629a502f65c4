"""The parent side of functions: finds them, starts their instances, measures and ends them.

Speaks to the child side only through ``wire``; knows no HTTP server and no authentication.
"""

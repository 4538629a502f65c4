"""The project's keys and secrets, and what a request's headers prove about its caller.

Knows headers and files; never a request, a response or a log.
"""

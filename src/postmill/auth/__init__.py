"""Who may call a function: the project's keys, its secrets, and what a request's headers prove.

Knows headers and files; never a request, a response or a log.
"""

"""A bounded HTTP server for ASGI applications: it says where each message ends, and what a stranger may cost.

Knows no route, no credentials and no function.
"""

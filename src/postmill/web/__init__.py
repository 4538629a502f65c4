"""A bounded HTTP server for ASGI applications: it decides where each message ends, and bounds what a client
can cost.

Knows no route, no credentials and no function.
"""

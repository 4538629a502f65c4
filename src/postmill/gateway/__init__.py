"""The HTTP face of functions: which function, which credentials it takes, how much it may be sent, and what a
failure looks like from outside.

Knows the host as something that runs one ASGI exchange; never a process, a transport or a file.
"""

"""The HTTP face of functions: which function, with which credentials it may be called, how much it may send, and what a failure looks
like from outside.

Knows the host as something that runs one ASGI exchange; never a process, a transport or a file.
"""

"""The HTTP side of functions: which function a request is for, which credentials it needs, how large it may
be, and how a failure is answered.

Knows the host only as something that runs one ASGI exchange; knows no process, transport or file.
"""

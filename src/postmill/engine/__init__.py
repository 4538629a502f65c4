"""Takes messages from queues and runs a handler, whatever it is: claim, dispatch, execute, settle, keep
alive.
"""

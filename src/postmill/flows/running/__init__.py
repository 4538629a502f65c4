"""Runs flows in a worker: to the engine a flow is a handler as any other."""

"""What people look at, read from the database: one file a subject. Each read is a function on an open
connection that returns rows as dicts, whose keys its statement in ``sql/statements/reads`` names. The command
line and all other faces call the same ones. Changes nothing.
"""

"""Several worker processes on one machine: a parent that starts, watches and replaces them, and the child's
side of the line between the two. Knows nothing of queues, and never touches the database.
"""

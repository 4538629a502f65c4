"""Takes messages from a queue: which lane, how many, when."""

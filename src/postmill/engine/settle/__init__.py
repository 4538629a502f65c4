"""Writes outcomes down, in batches, fenced by the claim."""

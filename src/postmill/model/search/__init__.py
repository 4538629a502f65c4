"""The language in which messages are searched for: text to a filter and back. Pure."""

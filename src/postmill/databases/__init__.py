"""Workers on several databases: an engine for each, and the slots that they share."""

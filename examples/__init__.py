"""Workers to run, read and change; each is a test too."""

"""What a terminal or a log file is shown."""

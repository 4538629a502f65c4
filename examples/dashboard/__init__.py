"""The dashboard inside of other applications, one file a framework."""

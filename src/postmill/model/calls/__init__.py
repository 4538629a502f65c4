"""What calls are: where they may go, what is filled in, and what an answer means. Pure."""

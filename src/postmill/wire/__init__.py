"""What the host and an isolate say to each other: frames, channel, stream, orders."""

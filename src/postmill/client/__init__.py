"""What an application imports to send messages, on its own connection or on the caller's."""

"""Who gets in, and what a browser is told it may do. Each file shuts one way in."""

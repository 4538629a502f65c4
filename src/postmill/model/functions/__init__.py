"""Settings, limits and failures of functions."""

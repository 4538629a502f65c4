"""Carries out operations: one thing done to many messages or dead letters, page by page."""

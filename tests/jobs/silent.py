"""Writes nothing, succeeds."""

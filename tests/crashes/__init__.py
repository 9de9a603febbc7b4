"""Tests that kill, freeze and cut off on purpose."""

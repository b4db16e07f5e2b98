"""Measurements of a running service. Traffic goes to 127.0.0.1 only."""

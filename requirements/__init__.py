"""The locks, and what holds them against published vulnerabilities."""

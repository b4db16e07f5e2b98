"""Tests of serve_app.fetching."""

"""The addresses that machines ask all the time."""

from __future__ import annotations

PROBES = ("/health", "/ready")
"""Always let in, whatever their headers say, without a key, and nobody is told of them."""

"""Which runtime runs a network: the plain one, a named one, or the fastest as measured here."""

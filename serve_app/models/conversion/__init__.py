"""Networks made ready for a runtime: in another form or another type, once, in the cache."""

"""Schema changes, run by ``index.store.engine`` when a store opens."""

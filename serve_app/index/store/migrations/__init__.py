"""Schema changes, run by ``index.engine`` at open."""

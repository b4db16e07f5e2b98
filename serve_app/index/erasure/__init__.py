"""Is what was removed gone? ``check`` plants marks and removes them, ``scanning`` looks for them in
every file."""

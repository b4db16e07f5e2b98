"""Upkeep of indexes beside the searches: ``rules`` decide, ``keeper`` sees to it, ``builder`` is
the process that does it with ``building``.
"""

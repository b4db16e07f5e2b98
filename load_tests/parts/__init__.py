"""The parts of ``make bench``: each measures one thing and says what it found.

A part takes a running service (or starts what it needs), and returns a ``Section``: rows for the
report, and a ``Finding`` for each of the issue's bars that it measured.
"""

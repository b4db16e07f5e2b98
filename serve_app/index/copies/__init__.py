"""Galleries on their way out and in: PaddleX's index directories, and backups of everything.

``parts`` reads a stored gallery whole as of one seq while writes go on; ``transfer`` and ``backup``
write it down and read it back. ``directory`` is an index directory by itself, whoever it is of.
"""

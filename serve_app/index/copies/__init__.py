"""Galleries on their way out and in: PaddleX's index directories, and backups of everything.

``parts`` reads a gallery whole as of one seq while writes go on; ``directory`` and ``backup`` write
it down and read it back.
"""

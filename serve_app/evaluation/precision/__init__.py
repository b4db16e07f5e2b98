"""A pipeline's extractor at several precisions, on the user's own photographs: how fast, how
accurate, and whether their embeddings may be mixed.

``embedding`` runs them side by side, ``checks`` compares figures, ``calibration`` joins both into
the record that ``models.precision`` keeps.
"""

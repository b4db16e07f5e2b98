"""Sets of photographs to evaluate on: lists, LFW's pairs, or a folder for each person.

Knows files and names; nothing of pixels, embeddings or scores.
"""

from serve_app.evaluation.sets.evaluation_set import (
    STRANGER,
    EvaluationSet,
    LabelledImage,
    ListedPair,
)
from serve_app.evaluation.sets.opening import open_set

__all__ = ["STRANGER", "EvaluationSet", "LabelledImage", "ListedPair", "open_set"]

"""How well faces are recognised on a set of photographs: 1:1 verification, 1:N identification.

``sets`` knows what is to be compared, ``embedding`` runs the pipeline, ``figures`` turns scores
into numbers, ``run`` joins them, ``report`` and ``plot`` show the result.
"""

"""PaddleX's own server as a peer: its process, and networks that cost what its tutorial's cost.

``layers`` are the networks, ``export`` writes them as model directories, ``server`` runs PaddleX
from an environment that FACE_SERVE_PADDLEX_PYTHON names.
"""

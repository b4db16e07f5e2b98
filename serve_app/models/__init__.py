"""Pixels to faces to embeddings: networks, their files and the mathematics around them."""

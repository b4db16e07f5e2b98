"""Bulk jobs measured: throughput and memory, ready embeddings into a served gallery, scale.

Each job runs as a program of its own (``program``) in a Ray cluster of its own.
"""

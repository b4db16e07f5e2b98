"""Embeddings to candidates, durably: the SQL store is the truth, FAISS its fast shape in memory."""

"""What a job enrols: rows of an annotation file, a directory, a table, or ready embeddings."""

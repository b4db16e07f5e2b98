"""Scores to figures. Pure functions of arrays: nothing of files, images or pipelines."""

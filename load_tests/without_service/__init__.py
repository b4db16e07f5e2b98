"""What the service is held against: the networks alone, and the pipeline in one process.

Each is a program that prints its figures as JSON, run in processes of its own by ``run``: processor
time and memory are then its own.
"""

"""What the machine gives: processor time and memory of processes that are measured."""

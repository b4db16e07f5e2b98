"""A run of the benchmark as Markdown, JSON and a picture of its throughput and latency."""

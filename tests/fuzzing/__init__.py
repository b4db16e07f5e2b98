"""Fuzzing: requests made from the OpenAPI document, and images, against checks of our own."""

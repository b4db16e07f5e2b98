"""A network at a lower precision than its own: what was checked of it here, and who may choose it.

Only extractors, only on CPUs, only in OpenVINO (docs/decisions/0024).
"""

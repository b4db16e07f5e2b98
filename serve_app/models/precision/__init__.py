"""A network at a lower precision than its own: what was checked of it here, and who may choose it.

Only extractors: bf16 and int8 on CPUs in OpenVINO (docs/decisions/0024), fp16 on GPUs (0026).
"""

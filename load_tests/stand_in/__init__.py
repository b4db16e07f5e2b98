"""The service's own graph with a stand-in for the accelerator: networks of fixed latency.

No GPU is at hand; everything around one is: decoding, preprocessing, payloads, batching, placement
on logical GPUs. ``session`` is the network, ``app`` the graph with it, ``content`` its Serve file.
"""

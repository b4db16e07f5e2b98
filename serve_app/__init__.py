"""Face recognition as a Ray Serve deployment graph.

The folder order is the order of a request: ``api`` takes it, ``service`` runs it through the three
ports, ``models`` and ``index`` do the work, ``deployments`` put each stage on Ray.
"""

"""The stages on Ray Serve: thin hosts around classes that are tested without Ray.

One file a deployment, ``app`` wires them, ``clients`` are the ports over handles; ``server`` runs
the whole on one machine.
"""

"""Bulk jobs on Ray: a directory, a table or an object store into a gallery that changes at once.

``build_gallery`` is a job from its request to its end; ``inputs`` what there is to enrol, ``flow``
the networks on Ray Data, ``settling`` what becomes of each row, ``publishing`` the index and the
switch; ``report`` tells it. ``host`` runs a job inside a cluster, ``submission`` sends one there.
"""

"""The upgrade drill: a service of several nodes is upgraded and broken under steady load, and every
request is accounted for.

``cluster`` simulates the machines, ``addresses`` what a Kubernetes Service knows of them,
``client`` sends and retries, ``journal`` keeps what came of it, ``verdict`` judges, ``scenarios``
are what happens, ``run`` is ``make drill``.
"""

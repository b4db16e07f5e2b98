"""Requests at the times that a plan says, and a record of every one of them.

``plan`` says what is sent and when, ``arrivals`` turns rates into times, ``locustfile`` sends
(docs/decisions/0023), ``generator`` runs it in a process of its own, ``attempts`` and ``summary``
tell what came of it.
"""

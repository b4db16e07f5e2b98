"""Named loads: ``make load SCENARIO=steady`` against a running service, ``make soak-load`` against
one of its own."""

"""``python -m load_tests.drill``."""

from load_tests.drill.run import main

main()

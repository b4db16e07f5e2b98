"""``face-serve``: the command line. One module a command; heavy imports wait until it is chosen."""

"""How many replicas, processors and bytes a load needs: measured costs, sizes, waiting and limits.

``costs`` reads what `make bench` measured, ``sizing`` makes a plan of it, ``waiting`` says how long
requests take then, ``limits`` what ends first as the load grows. Pure: no Ray, no service.
"""

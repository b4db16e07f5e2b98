"""Guarded download of images from URLs that untrusted clients give.

``urls`` reads the URL, ``addresses`` says which addresses may be connected to, ``network``
resolves, checks and connects in one step, ``fetcher`` speaks HTTP and follows redirects.
``switched_off`` reads nothing.
"""

from serve_app.fetching.fetcher import Fetcher
from serve_app.fetching.network import Resolver
from serve_app.fetching.switched_off import SwitchedOff

__all__ = ["Fetcher", "Resolver", "SwitchedOff"]

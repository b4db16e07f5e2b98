"""HTTP: CONTRACT 1 to 3. The only package that knows FastAPI and the wire's camelCase words.

A request goes through ``body`` (read whole, within limits), ``app`` (route), ``exchange``
(deadline, envelope), ``forms`` (JSON, multipart, msgpack or a bare image to a request),
``operations`` (the four of the contract) or ``batch`` (several images), ``images`` and
``visualise``; one for a gallery as a whole through ``gallery_routes``, ``address`` (parse) and
``galleries``. ``idempotency`` names changes; every success leaves through ``replies``, every
failure through ``errors``.
"""

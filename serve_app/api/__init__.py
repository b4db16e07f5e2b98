"""HTTP: CONTRACT 1 to 3. The only package that knows FastAPI and the wire's camelCase words.

A request goes through ``body`` (read whole, within limits), ``app`` (route), ``exchange`` (parse,
deadline, envelope), ``operations`` (the four of the contract), ``images`` and ``visualise``; one
for a gallery as a whole through ``gallery_routes``, ``address`` (parse) and ``galleries``.
``idempotency`` names changes; every failure leaves through ``errors``.
"""

"""Who may ask for what, and how much of it: API keys, their scopes, quotas.

Knows neither HTTP nor where keys are kept: the API presents what a request's head says, the store
keeps ``ApiKey`` values (docs/decisions/0035, 0036).
"""

from serve_app.access.keys import ALL_SCOPES, ApiKey, Scope, parse_token
from serve_app.access.quota import NO_LIMITS, Quota, strictest

__all__ = [
    "ALL_SCOPES",
    "NO_LIMITS",
    "ApiKey",
    "Quota",
    "Scope",
    "parse_token",
    "strictest",
]

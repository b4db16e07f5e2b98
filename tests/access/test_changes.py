from __future__ import annotations

import pickle

from serve_app.access import ALL_SCOPES, ApiKey, Quota
from serve_app.access.changes import AccessNews, Spent, TenantHolding, TenantQuota


def test_news_and_use_travel_between_processes() -> None:
    key = ApiKey("1b6a380c2cc8", "acme", "terminal", "hash", ALL_SCOPES, Quota(faces=3), revision=7)
    tenant = TenantQuota("acme", Quota(requests_per_s=5), erased=True)
    for value in (
        AccessNews(7, [key], [tenant], whole=True),
        Spent(3, 5, 10),
        TenantHolding(tenant, 2, 30, 1),
    ):
        assert pickle.loads(pickle.dumps(value)) == value

"""Whole names: taken apart as they were put together, and the store's own prefixes are nobody's."""

from __future__ import annotations

import pytest

from serve_app.tenancy import DEFAULT, bare, owned, tenant_of


@pytest.mark.parametrize("tenant", ["", "acme", "a.b-c_d"])
@pytest.mark.parametrize("key", ["friends", "a.b-c_d"])
def test_a_name_is_taken_apart_as_it_was_put_together(tenant: str, key: str) -> None:
    name = owned(tenant, key)
    assert (tenant_of(name), bare(name)) == (tenant, key)


def test_the_default_tenants_galleries_have_their_keys_for_names() -> None:
    assert owned(DEFAULT, "friends") == "friends"


@pytest.mark.parametrize("prefix", ["previous", "switch", "job"])
def test_what_the_store_keeps_of_a_gallery_is_its_tenants(prefix: str) -> None:
    assert tenant_of(f"{prefix}:acme/friends") == "acme"
    assert tenant_of(f"{prefix}:friends") == DEFAULT

"""What a denied request asked for, as an access review does."""

from __future__ import annotations

from typing import cast

import pytest

from mutualtls.kube import requests
from mutualtls.kube.api import API
from mutualtls.kube.rights import Rights


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/secrets", "list v1/secrets"),
        ("GET", "/version", "get version"),
        ("WATCH", "/api/v1/secrets", "watch v1/secrets"),
        ("GET", "/api/v1/namespaces", "list v1/namespaces"),
        ("GET", "/api/v1/namespaces/shop", "get v1/namespaces shop"),
        ("POST", "/api/v1/namespaces/shop/secrets", "create v1/secrets in shop"),
        ("PATCH", "/api/v1/namespaces/shop/secrets/a", "patch v1/secrets a in shop"),
        (
            "DELETE",
            "/apis/certificates.k8s.io/v1/clustertrustbundles/a",
            "delete certificates.k8s.io/v1/clustertrustbundles a",
        ),
        (
            "PATCH",
            "/apis/mutualtls.dev/v1alpha1/namespaces/shop/mutualtlsidentities/a/status",
            "patch mutualtls.dev/v1alpha1/mutualtlsidentities a status in shop",
        ),
    ],
)
def test_a_request_is_told_as_a_review_asks(method: str, path: str, expected: str) -> None:
    """A review asks by verb, resource, name and namespace."""
    found = requests.attributes(method, path)
    what = "/".join(filter(None, (found["group"], found["version"], found["resource"])))
    more = [found.get("name"), found.get("subresource"), f"in {found['namespace']}" if "namespace" in found else None]

    assert expected == " ".join(filter(None, (found["verb"], what, *more)))


@pytest.mark.parametrize("code", [401, 403])
def test_a_version_that_is_denied_says_nothing_of_rights(code: int) -> None:
    """An API server that has just started denies it for a moment, and there is no right to it to be asked for."""
    lacks: list[str] = []
    of = Rights(cast("API", None), lack=lacks.append, regain=lacks.clear)
    of.doubt("GET", "/version", code)

    assert [] == lacks

"""Identities with further files, and changes to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mutualtls.core import digests
from mutualtls.core.api.identity_spec import FormatsSpec
from mutualtls.core.bundles import bundle
from mutualtls.core.leaf.observed import Observed
from support.builders import PKCS12, READABLE, an_identity, known, other_signer

ALL: dict[str, Any] = {"combinedPEM": {}, "der": {}, "pkcs12": PKCS12}
FURTHER = {"tls.pem", "key.der", "tls.der", "keystore.p12", "truststore.p12"}


def spec_of(**asked: Any) -> FormatsSpec:
    """Read `spec.formats` as the API holds it."""
    return an_identity(formats=asked).spec.formats


Change = Callable[[Observed], Observed]


def with_password(**more: Any) -> Change:
    """Know something else about the password."""
    return lambda o: replace(o, password=replace(READABLE, **more))


def with_bundle(o: Observed) -> Observed:
    """Have the authority trust another root as well."""
    roots = bundle.merge([o.trust.bundle.decode(), other_signer().trust.bundle.decode()])
    return replace(o, trust=replace(o.trust, bundle=roots, bundle_hash=digests.content_hash(roots)))


def unchanged(o: Observed) -> Observed:
    """Change nothing."""
    return o


def of_body(o: Observed, body: dict[str, Any]) -> Observed:
    """Know a Secret."""
    return replace(o, found=known(body))

"""What the spec of an authority refers to in the operator's namespace: the CA of an outside PKI, and more roots."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mutualtls.core.api.authority import Authority
from mutualtls.core.ca import source
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.ca.source import Source, SourceError
from mutualtls.kube import paths
from mutualtls.kube.api import API


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReading:
    """What `root.secretRef` brings."""

    source: Source | None = None
    """None where it is not set, or brings nothing that can be used."""
    fault: str = ""
    """Why it brings nothing that can be used."""
    warnings: tuple[str, ...] = ()
    """What people should know of the CA that it brings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootsReading:
    """What `trust.additionalRoots` brings."""

    pem: Mapping[str, str | None] = field(default_factory=dict)
    """Roots by `NAME/KEY` of their ConfigMap; None where they cannot be used."""
    faults: tuple[str, ...] = ()
    """Why some cannot be used."""


class Inputs:
    """Reads what specs refer to. A fault in it is reported, and changes nothing."""

    def __init__(self, api: API, *, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    async def source(self, authority: Authority, known: Ledger | None, *, now: datetime) -> SourceReading:
        """Read the CA of an outside PKI. `known` has the CAs that there are already."""
        if (reference := authority.spec.root.secret_ref) is None:
            return SourceReading()
        try:
            data = await self._secret(reference.name)
            found = source.parse(data, is_tiered=authority.spec.issuing.enabled, now=now, known=known)
        except SourceError as error:
            return SourceReading(fault=str(error))
        return SourceReading(source=found, warnings=found.warnings)

    async def roots(self, authority: Authority) -> RootsReading:
        """Read the roots that are to be trusted as well."""
        pem: dict[str, str | None] = {}
        faults = []
        for reference in authority.spec.trust.additional_roots:
            place = f"{reference.name}/{reference.key}"
            try:
                pem[place] = source.roots(await self._text(reference.name, reference.key))
            except SourceError as error:
                pem[place] = None
                faults.append(f"ConfigMap {reference.name} of namespace {self._namespace}: {error}")
        return RootsReading(pem=pem, faults=tuple(faults))

    async def _secret(self, name: str) -> dict[str, bytes]:
        """Read a Secret.

        Raises:
            SourceError: it is not there.
        """
        found = await self._api.get(paths.secret(self._namespace, name))
        if found is None:
            raise SourceError("it does not exist: create it, with tls.crt, tls.key and ca.crt")
        return {file: base64.b64decode(content) for file, content in (found.get("data") or {}).items()}

    async def _text(self, name: str, key: str) -> str:
        """Read a key of a ConfigMap.

        Raises:
            SourceError: it is not there.
        """
        found = await self._api.get(paths.config_map(self._namespace, name))
        if found is None:
            raise SourceError("it does not exist: create it, or take it out of spec.trust.additionalRoots")
        text: str | None = (found.get("data") or {}).get(key)
        content: str | None = (found.get("binaryData") or {}).get(key)  # what kubectl makes of a file that is no UTF-8
        if text is None and content is None:
            raise SourceError(f"it has no key {key}")
        return text if text is not None else base64.b64decode(content or "").decode(errors=source.ANY_BYTES)

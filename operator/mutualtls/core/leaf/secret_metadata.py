"""Labels, annotations and owner that are asked for on a Secret: judged, and hashed by their meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mutualtls.core.api.authority_spec import is_reserved
from mutualtls.core.api.identity_spec import IdentitySpec
from mutualtls.core.ca.offer import Offer
from mutualtls.core.digests import meaning
from mutualtls.core.errors import Fault
from mutualtls.core.model import selectors
from mutualtls.core.names import names


def metadata_hash(labels: Mapping[str, str | None], annotations: Mapping[str, str | None], owner: str | None) -> str:
    """Hash the part of a Secret's metadata that is ours. None stands for a key that is not there."""
    return meaning({"labels": labels, "annotations": annotations, "owner": owner})


def metadata_faults(spec: IdentitySpec) -> Iterator[Fault]:
    """Judge what CEL judges too: a Secret that the API server refuses would be tried for ever."""
    for field, pairs in (("labels", spec.secret.labels), ("annotations", spec.secret.annotations)):
        for key, value in pairs.items():
            if not selectors.is_label_key(key):
                yield Fault(field=f"spec.secret.{field}", message=f"not a key: {names.shown(key)}")
            elif field == "labels" and not selectors.is_label_value(value):
                yield Fault(field=f"spec.secret.{field}[{key}]", message=f"not a label's value: {names.shown(value)}")


def prefix_faults(spec: IdentitySpec, trust: Offer) -> Iterator[Fault]:
    """Refuse keys with a domain prefix: controllers obey those, and some copy Secrets to where they say."""
    for field, pairs in (("labels", spec.secret.labels), ("annotations", spec.secret.annotations)):
        for key in pairs:
            prefix = key.rpartition("/")[0]
            if prefix and not _is_allowed_prefix(prefix, trust):
                yield Fault(field=f"spec.secret.{field}[{names.shown(key)}]", message=_why_no_prefix(prefix, trust))


def _is_allowed_prefix(prefix: str, trust: Offer) -> bool:
    return prefix in trust.secret_metadata_prefixes and not is_reserved(prefix)


def _why_no_prefix(prefix: str, trust: Offer) -> str:
    if is_reserved(prefix):
        return (
            f"the prefix {prefix} is not permitted and cannot be: it means something to Kubernetes or to the operator"
        )
    return (
        f"the prefix {names.shown(prefix)} is not permitted, as another controller may obey it; add it to "
        f"spec.leaf.secretMetadataPrefixes of authority {trust.name}"
    )

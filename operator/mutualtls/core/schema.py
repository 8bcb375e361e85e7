"""Annotations that turn a typed field into a documented and bounded field of the CRD.

The typed model (`identity`, `authority`) is the only source of the CRDs: `hack/crds` writes `crds/` from it and a test
compares them. All lists and strings are bounded, or the API server refuses the CEL rules for their cost.
"""

from __future__ import annotations

from typing import Any

from msgspec import Meta

DNS_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""RFC 1123 label, at most 63 characters."""
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""RFC 1123 subdomain, at most 253 characters: the form of most object names."""
_DURATION = "^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$"
_UNPREFIXED_KEY = "^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_LABEL_VALUE = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"


def rule(rule: str, message: str, **more: str) -> dict[str, str]:
    """Write one CEL rule, as `x-kubernetes-validations` holds it. `message` says what to do."""
    return {"rule": rule, "message": message, **more}


def rules(*validations: dict[str, str]) -> dict[str, Any]:
    """Write the CEL rules of a type, for a `Struct`'s or a field's extra JSON schema."""
    return {"x-kubernetes-validations": list(validations)}


def durations(comparison: str, message: str, *paths: str, **more: str) -> dict[str, str]:
    """Write a CEL rule that compares durations: `{0}`, `{1}` stand for the values at `paths`.

    A value without the form of a duration is left to its own rule, or its error would be printed twice. One that is
    not set happens only when the API server judges the schema's own defaults.
    """
    guards = " && ".join(f"{_is_set(path)} && self.{path}.matches('{_DURATION}')" for path in paths)
    compared = comparison.format(*(f"duration(self.{path})" for path in paths))
    return rule(f"!({guards}) || ({compared})", message, **more)


def _is_set(path: str) -> str:
    """Ask for every step of a path whether it is there."""
    steps = path.split(".")
    return " && ".join(f"has(self.{'.'.join(steps[:count])})" for count in range(1, len(steps) + 1))


def field(description: str, *validations: dict[str, str], **schema: Any) -> Meta:
    """Describe a field whose type says the rest; `schema` holds further keywords of OpenAPI v3."""
    extra = dict(schema)
    if validations:
        extra |= rules(*validations)
    return Meta(description=description, extra_json_schema=extra or None)


def text(description: str, *validations: dict[str, str], longest: int, pattern: str | None = None) -> Meta:
    """Describe a string of at most `longest` characters."""
    keywords: dict[str, Any] = {"maxLength": longest}
    if pattern:
        keywords["pattern"] = pattern
    return field(description, *validations, **keywords)


def duration(description: str, *, least: str = "1m") -> Meta:
    """Describe a duration such as `24h`, `90m` or `1h30m`, of at least `least`.

    One CEL rule rather than `format: duration`, which takes `1d` and `2 weeks`, or a pattern, which would print a
    second and less helpful error.
    """
    form = f"self != '' && self.matches('{_DURATION}') && duration(self) >= duration('{least}')"
    message = f"must be hours, minutes and seconds such as 24h or 1h30m, and at least {least}"
    return text(description, rule(form, message), longest=20)


def unique(description: str, *, most: int, least: int = 0) -> Meta:
    """Describe a list without doubles of `least` to `most` items, whose own type bounds them."""
    bounds = {"minItems": least} if least else {}
    return field(description, maxItems=most, **bounds, **{"x-kubernetes-list-type": "set"})


def by_type(description: str) -> Meta:
    """Describe a list of objects that are told apart by their `type`, such as conditions."""
    return field(description, maxItems=8, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]})


def metadata_map(description: str, *, values_are_labels: bool) -> Meta:
    """Describe labels or annotations for a Secret, whose keys have no domain prefix: other controllers obey those."""
    unprefixed = rule(
        f"self.all(k, k.matches('{_UNPREFIXED_KEY}'))",
        "keys must be names without a domain prefix, at most 63 characters of letters, digits, '-', '_', '.'",
    )
    checks = [unprefixed]
    if values_are_labels:
        form = f"self.all(k, self[k].matches('{_LABEL_VALUE}'))"
        checks.append(rule(form, "values must be label values: at most 63 letters, digits, '-', '_', '.'"))
    return field(description, *checks, maxProperties=30)

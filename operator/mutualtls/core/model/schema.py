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
DNS_NAME_LABEL = r"[A-Za-z0-9\x{80}-\x{10FFFF}]([-A-Za-z0-9\x{80}-\x{10FFFF}]{0,61}[A-Za-z0-9\x{80}-\x{10FFFF}])?"
"""A label of a DNS name as people write it, which may be other than ASCII; in the syntax of CEL (RE2)."""
EMAIL_LOCAL_PART = r"[A-Za-z0-9!#$%&\x27+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&\x27+/=?^_`{|}~-]+)*"
"""The part of an e-mail address before the @ (RFC 5321, dot-atom), but for `*`."""
HOST_LABEL = r"[A-Za-z0-9_\x{80}-\x{10FFFF}-]+"
"""A label of the host of a URI, or of a trust domain."""
URN_PART = r"[A-Za-z0-9._~!$&\x27()+,;=@%-]+"
URI_SEGMENT = r"[A-Za-z0-9._~!$&\x27()+,;=:@%-]+"
_DURATION = "^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$"
LABEL_VALUE = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
"""Value of a label."""
QUALIFIED_NAME = f"^({DNS_SUBDOMAIN[1:-1]}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"
"""Key of a label or an annotation."""


def rule(rule: str, message: str, **more: str) -> dict[str, str]:
    """Write one CEL rule, as `x-kubernetes-validations` holds it. `message` says what to do."""
    return {"rule": rule, "message": message, **more}


def rules(*validations: dict[str, str]) -> dict[str, Any]:
    """Write the CEL rules of a type, for a `Struct`'s or a field's extra JSON schema."""
    return {"x-kubernetes-validations": list(validations)}


IS_DNS_LABEL = rule("size(self) <= 63 && !self.contains('.')", "must be a DNS label: at most 63 characters, no dots")
"""For the name of an object, which the API server has judged by the rules of all objects already."""
IS_CIDR = rule(
    "isCIDR(self) && cidr(self) == cidr(self).masked()", "must be a range such as 10.1.0.0/16 or 2001:db8::/32"
)
"""For a string that is a range of IP addresses without bits beyond its prefix."""


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


def form(description: str, pattern: str, message: str, *, longest: int) -> Meta:
    """Describe a string of a form, by a rule rather than a `pattern`, whose error would only repeat it."""
    return text(description, rule(f"self.matches(r'{pattern}')", message), longest=longest)


def duration(description: str, *, least: str = "1m") -> Meta:
    """Describe a duration such as `24h`, `90m` or `1h30m`, of at least `least`.

    One CEL rule rather than `format: duration`, which takes `1d` and `2 weeks`, or a pattern, which would print a
    second and less helpful error.
    """
    form = f"self != '' && self.matches('{_DURATION}') && duration(self) >= duration('{least}')"
    rules_of_it = rules(rule(form, duration_form(least)))
    return Meta(
        description=description, extra_json_schema={"maxLength": 20} | rules_of_it, extra={LEAST_DURATION: least}
    )


LEAST_DURATION = "leastDuration"
"""By which a field says, to `misfits`, that it is a duration, and of what length at least. No keyword of the schema."""


def duration_form(least: str) -> str:
    """Say what a duration must be."""
    return f"must be hours, minutes and seconds such as 24h or 1h30m, and at least {least}"


def unique(description: str, *, most: int) -> Meta:
    """Describe a list without doubles of at most so many items, whose own type bounds them."""
    return field(description, maxItems=most, **{"x-kubernetes-list-type": "set"})


_DISTINCT = rule("self.all(one, self.exists_one(other, other == one))", "must not have a value twice")


def choice(description: str, *, most: int) -> Meta:
    """Describe a list without doubles that has a default. It is one value: whoever applies it gets what it lists.

    As a set it would be merged, in a server-side apply, with a default that is stored, and nobody could take a value of
    that away. The release before stored it.
    """
    return field(description, _DISTINCT, maxItems=most, minItems=1, **{"x-kubernetes-list-type": "atomic"})


def by_type(description: str) -> Meta:
    """Describe a list of objects that are told apart by their `type`, such as conditions."""
    return field(description, maxItems=8, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]})


def metadata_map(description: str, *, values_are_labels: bool) -> Meta:
    """Describe labels or annotations for a Secret. Which domain prefixes their keys may have is the authority's say."""
    keys = rule(
        f"self.all(k, k.matches(r'{QUALIFIED_NAME}'))",
        "keys must be names of at most 63 letters, digits, '-', '_', '.'; with a domain prefix and / only as "
        "leaf.secretMetadataPrefixes of the authority allows",
    )
    checks = [keys]
    if values_are_labels:
        form = f"self.all(k, self[k].matches(r'{LABEL_VALUE}'))"
        checks.append(rule(form, "values must be label values: at most 63 letters, digits, '-', '_', '.'"))
    return field(description, *checks, maxProperties=30)

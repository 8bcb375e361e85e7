"""Label selectors, as Kubernetes understands them (metav1.LabelSelector)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated

import msgspec

from mutualtls.core.model import schema
from mutualtls.core.model.resource import Resource

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(schema.DNS_SUBDOMAIN)
_LONGEST_PREFIX = 253


class Operator(StrEnum):
    """How a requirement compares."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


_WITH_VALUES = frozenset({Operator.IN, Operator.NOT_IN})
_KEY_RULE = schema.rule(
    f"self.matches(r'{schema.QUALIFIED_NAME}')", "must be a label's key: a name, or a domain prefix, / and a name"
)
_VALUE_RULE = schema.rule(
    f"self.matches(r'{schema.LABEL_VALUE}')", "must be a label's value: at most 63 letters, digits, '-', '_', '.'"
)
_VALUES_FIT = schema.rule(
    "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : "
    "!has(self.values) || size(self.values) == 0",
    "values must be given with In and NotIn, and with no other operator",
)


class Requirement(Resource, frozen=True, kw_only=True):
    """One condition on a label."""

    key: Annotated[str, schema.text("Key of the label.", _KEY_RULE, longest=317)]
    operator: Annotated[Operator, schema.field("In, NotIn, Exists or DoesNotExist.")]
    values: Annotated[
        tuple[Annotated[str, schema.text("A value.", _VALUE_RULE, longest=63)], ...],
        schema.field("Values for In and NotIn. NotIn also selects what has no such label.", maxItems=32),
    ] = ()


class LabelSelector(Resource, frozen=True, kw_only=True):
    """Selects by labels. All of its conditions must hold; an empty selector selects all."""

    match_labels: Annotated[
        dict[str, Annotated[str, schema.text("", longest=63)]],
        schema.field(
            "Labels that must be there with these values.",
            schema.rule(
                f"self.all(k, k.matches(r'{schema.QUALIFIED_NAME}') && self[k].matches(r'{schema.LABEL_VALUE}'))",
                "must be keys and values of labels",
            ),
            maxProperties=16,
        ),
    ] = msgspec.field(default_factory=dict)
    match_expressions: Annotated[
        tuple[Annotated[Requirement, schema.field("One condition on a label.", _VALUES_FIT)], ...],
        schema.field("Conditions on labels.", maxItems=16),
    ] = ()


def matches(selector: LabelSelector, labels: Mapping[str, str] | None) -> bool:
    """Tell whether a selector selects what has these labels. None: they are not known.

    A selector that is faulty selects nothing; and what is not known is selected by nothing but the empty selector, so
    that `NotIn` gives nobody a right for want of knowledge.
    """
    if any(faults(selector)):
        return False
    if labels is None:
        return selector == LabelSelector()
    has_all = all(labels.get(key) == value for key, value in selector.match_labels.items())
    return has_all and all(_holds(requirement, labels) for requirement in selector.match_expressions)


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    match requirement.operator:
        case Operator.IN:
            return requirement.key in labels and labels[requirement.key] in requirement.values
        case Operator.NOT_IN:
            return requirement.key not in labels or labels[requirement.key] not in requirement.values
        case Operator.EXISTS:
            return requirement.key in labels
        case Operator.DOES_NOT_EXIST:
            return requirement.key not in labels


def faults(selector: LabelSelector) -> Iterator[str]:
    """Tell what is wrong with a selector, as the API server would of a Deployment's."""
    for key, value in selector.match_labels.items():
        if not is_label_key(key) or not is_label_value(value):
            yield f"not a label: {key}: {value}"
    for requirement in selector.match_expressions:
        if not is_label_key(requirement.key) or not all(map(is_label_value, requirement.values)):
            yield f"not a label: {requirement.key}: {', '.join(requirement.values)}"
        if (requirement.operator in _WITH_VALUES) is not bool(requirement.values):
            yield f"values are for In and NotIn, which need some: {requirement.key} {requirement.operator}"


def is_label_key(text: str) -> bool:
    """Tell whether a text can be the key of a label or annotation: a name, or a domain prefix, a slash and a name."""
    prefix, slash, name = text.rpartition("/")
    is_prefix = len(prefix) <= _LONGEST_PREFIX and _PREFIX.fullmatch(prefix) is not None
    return _NAME.fullmatch(name) is not None and (is_prefix if slash else not prefix)


def is_label_value(text: str) -> bool:
    """Tell whether a text can be the value of a label."""
    return not text or _NAME.fullmatch(text) is not None


def described(selector: LabelSelector) -> str:
    """Write a selector as `kubectl get -l` takes it; `{}` for one that selects all."""
    equal = [f"{key}={value}" for key, value in selector.match_labels.items()]
    return ",".join([*equal, *map(_described, selector.match_expressions)]) or "{}"


def _described(requirement: Requirement) -> str:
    match requirement.operator:
        case Operator.IN:
            return f"{requirement.key} in ({','.join(requirement.values)})"
        case Operator.NOT_IN:
            return f"{requirement.key} notin ({','.join(requirement.values)})"
        case Operator.EXISTS:
            return requirement.key
        case Operator.DOES_NOT_EXIST:
            return f"!{requirement.key}"

"""The three kinds of error, by who can mend them.

    MutualTLSError
    ├── SpecError        the user must edit: carries every fault at once, waits for a change
    ├── ClusterError     the cluster will recover: conflict, timeout, 5xx; tried again soon
    │   ├── NotFoundError
    │   ├── AlreadyExistsError
    │   └── ConflictError
    └── AuthorityError   the CA cannot sign: missing, unreadable, expired; tried again slowly, loudly

Programming errors are none of these. They are logged with their traceback and tried again with a growing delay.
No message holds anything of a private key or of a Secret's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from mutualtls.core.reasons import Reason


class MutualTLSError(Exception):
    """Base of all errors that are meant to happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with a spec: the path of the field, such as `spec.dnsNames[1]`, and what to do."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class SpecError(MutualTLSError):
    """The spec asks for what cannot or may not be had. Carries all faults, never only the first.

    The message names as many as a condition can hold, and how many more there are.
    """

    def __init__(self, reason: Reason, faults: Sequence[Fault]) -> None:
        super().__init__(_listed([str(fault) for fault in faults]))
        self.reason = reason
        self.faults = tuple(faults)


_LONGEST_MESSAGE = 4000
"""A little less than the schema allows a condition, so that its status can always be written."""


def _listed(messages: Sequence[str]) -> str:
    said = ""
    for index, message in enumerate(messages):
        longer = f"{said}; {message}" if said else message
        if len(longer) > _LONGEST_MESSAGE:
            return f"{said or message[:_LONGEST_MESSAGE]}; and {len(messages) - index} more"
        said = longer
    return said


class ClusterError(MutualTLSError):
    """The API server refused or could not be reached. `code` is the HTTP status, 0 where there was no answer."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class NotFoundError(ClusterError):
    """The object is not there (404). Not raised by a create, which names none: its namespace is what is not there."""


class AlreadyExistsError(ClusterError):
    """An object of that name is there already (409 AlreadyExists)."""


class ConflictError(ClusterError):
    """The object is not as we knew it: other uid or resourceVersion (409 Conflict)."""


class AuthorityError(MutualTLSError):
    """The authority cannot sign now. `reason` says why, the message what to do."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


UNREADABLE = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""All that cryptography raises over certificates that somebody else made."""

"""The kinds of error, by who can mend them.

    MutualTLSError
    ├── SpecError        the user must edit: carries every fault at once, waits for a change
    ├── ClusterError     the cluster will recover: conflict, timeout, 5xx; tried again soon
    │   ├── NotFoundError
    │   ├── AlreadyExistsError
    │   ├── ConflictError
    │   ├── ImmutableError
    │   ├── HeldUpError
    │   └── NotLeadingError
    ├── AuthorityError   the CA cannot sign: missing, unreadable, expired; tried again slowly, loudly
    ├── UnreadableError  what came from the cluster cannot be read, or is beyond a bound; costs that object alone
    └── OutdatedError    what was decided rests on what is not so any more: to be looked at again, at once

Programming errors are none of these. They are logged with their traceback and tried again with a growing delay.
No message holds anything of a private key or of a Secret's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mutualtls.core.reasons import Reason


class MutualTLSError(Exception):
    """Base of all errors that are meant to happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with a spec: the path of the field, such as `spec.dnsNames[1]`, and what to do."""

    field: str
    message: str
    was_permitted: bool = False
    """Whether it is about a name that is refused by a rule that came with this release."""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class SpecError(MutualTLSError):
    """The spec asks for what cannot or may not be had. Carries all faults, never only the first.

    The message names as many as a condition can hold, and how many more there are.
    """

    def __init__(self, reason: Reason, faults: Sequence[Fault], *, takes_nothing: bool = False) -> None:
        super().__init__(listed(faults))
        self.reason = reason
        self.faults = tuple(faults)
        self.takes_nothing = takes_nothing
        """Whether no right was taken away: the release before permitted every name."""


_LONGEST_MESSAGE = 4000
"""A little less than the schema allows a condition, so that its status can always be written."""


def listed(faults: Sequence[Fault]) -> str:
    """Write as many faults into one message as a condition can hold, and how many more there are."""
    messages, said = [str(fault) for fault in faults], ""
    for index, message in enumerate(messages):
        longer = f"{said}; {message}" if said else message
        if len(longer) > _LONGEST_MESSAGE:
            return f"{said or message[:_LONGEST_MESSAGE]}; and {len(messages) - index} more"
        said = longer
    return said


class ClusterError(MutualTLSError):
    """The API server refused or could not be reached. `code` is the HTTP status, 0 where there was no answer."""

    def __init__(self, message: str, *, code: int = 0, told: str = "", mends_itself: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.told = told or message
        """The same for people: what was not done, and what the API server said."""
        self._mends_itself = mends_itself

    @property
    def is_lasting(self) -> bool:
        """Whether the same will be refused until somebody changes something: a policy, a quota, a right."""
        is_refusal = _FIRST_REFUSAL <= self.code <= _LAST_REFUSAL and self.code not in _PASSING
        return is_refusal and not self._mends_itself


_FIRST_REFUSAL, _LAST_REFUSAL = 400, 499
_PASSING = frozenset({401, 408, 409, 410, 429})
"""What says nothing about the request itself: who asks is not known, late, a conflict, an old version, too many."""


class NotFoundError(ClusterError):
    """The object is not there (404). Not raised by a create, which names none: its namespace is what is not there."""


class AlreadyExistsError(ClusterError):
    """An object of that name is there already (409 AlreadyExists)."""


class ConflictError(ClusterError):
    """The object is not as we knew it: other uid or resourceVersion (409 Conflict)."""


class ImmutableError(ClusterError):
    """The object was made immutable, by whomever, so that its data cannot be changed (422)."""


class HeldUpError(ClusterError):
    """What has to go first was deleted, and is kept there by finalizers that others set."""

    def __init__(self, what: str, held_by: str) -> None:
        super().__init__(f"{what} was deleted and is kept by finalizers ({held_by}): have their owner remove them")

    @property
    def is_lasting(self) -> bool:
        """Whether it stays so until somebody changes something: it does."""
        return True


class NotLeadingError(ClusterError):
    """Nothing was sent, as this operator does not hold the Lease, or not for long enough."""


class OutdatedError(MutualTLSError):
    """What was decided rests on what is not so any more. What is known now is noted, and to be looked at again."""


class AuthorityError(MutualTLSError):
    """The authority cannot sign now. `reason` says why, the message what to do."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnreadableError(MutualTLSError, ValueError):
    """What came from the cluster cannot be read: no JSON, no PEM, of another form, too long, too deep, out of bounds.

    Every decoder raises this and nothing else, so that one object never costs more than itself.
    """

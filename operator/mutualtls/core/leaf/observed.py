"""What is observed of one identity, by which `checks` judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import Enum, auto

from mutualtls.core import times
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_spec import RotationPolicy
from mutualtls.core.api.status import OwnedSecretStatus
from mutualtls.core.ca.offer import Offer
from mutualtls.core.leaf.desired import Wanted
from mutualtls.core.leaf.facts import Damage, Facts
from mutualtls.core.leaf.passwords import PasswordState
from mutualtls.core.reasons import Reason, Refusal


class Action(Enum):
    """What is to be done."""

    NOTHING = auto()
    LOOK = auto()
    """Look at the Secret's metadata again, then decide again."""
    READ = auto()
    """Read the Secret's body first, then decide again."""
    ISSUE = auto()
    """Make a new key (or keep it) and a new leaf, and write all files in one write."""
    REPLACE = auto()
    """The same, but delete the Secret first: its type or immutability cannot be changed."""
    WRITE_BUNDLE = auto()
    """Write ca.crt alone."""
    WRITE_FORMATS = auto()
    """Write the further files anew with the key and the leaf that are there, and ca.crt."""
    WRITE_METADATA = auto()
    """Write labels, annotations and ownerReferences alone."""
    REMOVE = auto()
    """Delete the Secrets of an identity that may not have its names any more."""
    REMOVE_OLD = auto()
    """Delete the Secrets of other names that this identity had before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """There is no Secret of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A Secret of that name is somebody else's. `holder` says whose, as far as its metadata tells."""

    holder: str
    seen: datetime
    """When its metadata was last looked at. The watch does not tell of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """There is a Secret whose files are not known at the version it has now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A Secret of ours whose files are known."""

    files: Facts | Damage
    metadata_hash: str
    verified: datetime
    """When its body was last read or written."""
    created: datetime
    is_seen: bool = True
    """Whether its files were written or read by this operator, and not only told by its annotation."""
    held_by: str | None = None
    """The finalizers that keep it there, though it was deleted; None where it was not."""


Found = Absent | Foreign | Unread | Known


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Somebody keeps overwriting a Secret, though it is mended time and again."""

    by: str
    """Who overwrote it; empty where it was only deleted."""
    times: int
    since: datetime
    """When it was mended first of these times."""
    until: datetime
    """When it is tried again."""
    deletions: int = 0
    """How many of these times it was deleted, which nothing tells by whom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """How often what is seldom done is done, as the operator is set."""

    conflict_retry: timedelta
    """Between two looks at a Secret that is somebody else's."""
    sweep: timedelta
    """Between two readings of the files of a Secret, whatever its metadata says."""
    move_grace: timedelta
    """How long what was left behind stays after the Secret that is asked for was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is there of an identity, whatever it asks for."""

    identity: Identity
    trust: Offer
    found: Found
    now: datetime
    contest: Contest | None = None
    password: PasswordState | None = None
    """What is known of the password of its stores; None where it asks for none."""
    namespace_labels: Mapping[str, str] | None = None
    """Labels of its namespace, which give it rights; None where the namespace is not known."""
    left_behind: tuple[str, ...] = ()
    """Names of Secrets that this identity had before it asked for the one it has now."""
    secrets: tuple[OwnedSecretStatus, ...] = ()
    """All that it has, that of now last."""
    leaf_read: Facts | None = None
    """Facts of its files as they were just read, whatever is noted of them."""
    unread: str | None = None
    """Why the spec of now cannot be read, where what is asked for is by the last good one."""

    def asking_for(self, wanted: Wanted, *, intervals: Intervals, made_key: str | None = None) -> Observed:
        """Add what the identity asks for, once that is known."""
        parts = {name: getattr(self, name) for name in _FIELDS_OF_SEEN}
        return Observed(**parts, wanted=wanted, intervals=intervals, made_key=made_key)

    @property
    def proven_names(self) -> str | None:
        """Hash of the names of the leaf that the status records, if it was read and is of a CA of this authority."""
        recorded, read = self.identity.status.certificate, self.leaf_read
        if read is None or recorded is None or read.fingerprint != recorded.fingerprint:
            return None
        issuer = self.trust.in_use.get(read.issuer_key_id)
        return read.names_hash if issuer is not None and issuer.chain_hash == read.chain_hash else None

    @property
    def facts(self) -> Facts:
        """Facts of the files. Only checks after `files_are_damaged` may ask for them."""
        if not isinstance(self.found, Known) or not isinstance(self.found.files, Facts):
            raise TypeError(f"programming error: no facts about the files of {self.identity.key}")
        return self.found.files

    @property
    def has_facts(self) -> bool:
        """Whether there are files of ours that are known and fit together."""
        return isinstance(self.found, Known) and isinstance(self.found.files, Facts)

    @property
    def end(self) -> datetime | None:
        """When the files end, while they have not."""
        return self.facts.not_after if self.has_facts and self.now < self.facts.not_after else None

    @property
    def is_recorded(self) -> bool:
        """Whether the status tells of this very leaf and its key, as far as facts say."""
        said, found = self.identity.status.certificate, self.facts
        return said is not None and (
            (said.fingerprint, said.public_key_hash, said.serial_number, said.issuer_key_id, said.not_after)
            == (
                found.fingerprint,
                found.public_key_hash,
                found.serial_number,
                found.issuer_key_id,
                times.rfc3339(found.not_after),
            )
        )

    @property
    def is_seen(self) -> bool:
        """Whether the files are known otherwise than by what an annotation says, which others may have written."""
        return isinstance(self.found, Known) and self.found.is_seen

    @property
    def has_old_bundle(self) -> bool:
        """Whether there are such files with another bundle than the authority's, be it in a trust store."""
        if not self.has_facts or not self.trust.bundle:
            return False
        if not self._can_write_stores:
            return self.facts.bundle_hash != self.trust.bundle_hash
        return not self.facts.carries(self.trust.bundle_hash)

    @property
    def bundle_action(self) -> Action:
        """What mends an old bundle: ca.crt alone, where there is no trust store to be written with it."""
        return Action.WRITE_FORMATS if self._can_write_stores else Action.WRITE_BUNDLE

    @property
    def _can_write_stores(self) -> bool:
        return self.password is not None and self.password.fault is None


_FIELDS_OF_SEEN = tuple(one.name for one in fields(Seen))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed(Seen):
    """All that a decision rests on, where what is asked for can be had."""

    wanted: Wanted
    intervals: Intervals
    made_key: str | None = None
    """Hash of the public key that was just made for this identity, until its status records it."""
    postponed: frozenset[Reason] = frozenset()
    """Why something is due whose turn it is not yet. Meanwhile all else is seen to."""

    @property
    def verify_before(self) -> datetime:
        """A Secret of ours whose body was last seen before this, or then, is read again (the slow sweep)."""
        return self.now - self.intervals.sweep

    @property
    def look_before(self) -> datetime:
        """A Secret of somebody else's that was last seen before this, or then, is looked at again."""
        return self.now - self.intervals.conflict_retry

    @property
    def remove_before(self) -> datetime:
        """What was left behind goes once the Secret that is asked for is older than this."""
        return self.now - self.intervals.move_grace

    @property
    def has_moot_order(self) -> bool:
        """Whether a re-issue is ordered of a certificate that is not there, and that was not replaced by that order."""
        ordered, said = self.identity.reissue, self.identity.status
        if ordered is None or not self.has_facts:
            return False
        recorded = said.certificate.serial_number if said.certificate else None
        return ordered not in {self.facts.serial_number, recorded, said.reissued}

    @property
    def has_foreign_key(self) -> bool:
        """Whether the key is to be kept and is not the one that was made for this identity, though it may be valid."""
        recorded = self.identity.status.certificate
        own = self.made_key or (recorded.public_key_hash if recorded else None)
        is_kept = self.wanted.rotation_policy is RotationPolicy.NEVER
        return is_kept and own is not None and own != self.facts.public_key_hash

    @property
    def renewal_time(self) -> datetime:
        """When the leaf is due for renewal."""
        return times.renewal_time(
            self.facts.validity,
            duration=self.wanted.duration,
            renew_before=self.wanted.renew_before,
            uid=self.identity.uid,
        )


@dataclass(frozen=True, slots=True)
class Violation(Refusal):
    """What a check found wrong, and what is to be done about it."""

    action: Action = field(default=Action.ISSUE)

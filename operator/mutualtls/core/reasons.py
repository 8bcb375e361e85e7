"""Why something is as it is. Reasons appear in conditions, Events and logs; they are API, and are not renamed.

What version 0.1.0 called otherwise is in `core/api/earlier_words`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """CamelCase, as condition reasons are. Each says what was found, not what is done about it."""

    # The files are good.
    ISSUED = "Issued"
    LIMITED_BY_CA = "LimitedByCA"
    RULE_TIGHTENED = "RuleTightened"

    # Why a new key and certificate are made, in the order of `checks.CHECKS`.
    SECRET_MISSING = "SecretMissing"
    SECRET_INCOMPLETE = "SecretIncomplete"
    SECRET_UNREADABLE = "SecretUnreadable"
    SECRET_TYPE_WRONG = "SecretTypeWrong"
    SECRET_IMMUTABLE = "SecretImmutable"
    KEY_MISMATCH = "KeyMismatch"
    KEY_TYPE_CHANGED = "KeyTypeChanged"
    NAMES_CHANGED = "NamesChanged"
    USAGES_CHANGED = "UsagesChanged"
    AUTHORITY_CHANGED = "AuthorityChanged"
    ISSUER_REPLACED = "IssuerReplaced"
    DURATION_CHANGED = "DurationChanged"
    REISSUE_ORDERED = "ReissueOrdered"
    EXPIRED = "Expired"
    RENEWAL_DUE = "RenewalDue"

    # Why a Secret is changed without a new certificate.
    BUNDLE_OUTDATED = "BundleOutdated"
    FORMATS_CHANGED = "FormatsChanged"
    FORMATS_DAMAGED = "FormatsDamaged"
    METADATA_DRIFTED = "MetadataDrifted"
    SECRET_RENAMED = "SecretRenamed"

    # Why a Secret is read. In no condition and no Event, as what was read is decided about at once.
    SECRET_UNREAD = "SecretUnread"

    # Why nothing is done.
    INVALID_SPEC = "InvalidSpec"
    NOT_PERMITTED = "NotPermitted"
    PASSWORD_MISSING = "PasswordMissing"
    SECRET_CONFLICT = "SecretConflict"
    SECRET_CONTESTED = "SecretContested"
    SECRET_TERMINATING = "SecretTerminating"
    SECRET_NOT_WRITABLE = "SecretNotWritable"
    SUSPENDED = "Suspended"
    THROTTLED = "Throttled"
    AUTHORITY_NOT_FOUND = "AuthorityNotFound"
    AUTHORITY_NOT_READY = "AuthorityNotReady"

    # Of authorities.
    ACTIVE = "Active"
    PREPARING = "Preparing"
    KEY_LOST = "KeyLost"
    LEDGER_LOST = "LedgerLost"
    CLUSTER_RESTORED = "ClusterRestored"
    CA_UNREADABLE = "CAUnreadable"
    CA_EXPIRED = "CAExpired"
    CLOCK_SKEW = "ClockSkew"
    OTHER_OPERATOR = "OtherOperator"
    SOURCE_INVALID = "SourceInvalid"
    SOURCE_WARNING = "SourceWarning"
    STATE_NOT_WRITABLE = "StateNotWritable"
    BUNDLE_CONFLICT = "BundleConflict"
    BUNDLE_NOT_WRITABLE = "BundleNotWritable"
    BUNDLES_ORPHANED = "BundlesOrphaned"
    LAGGARDS_EXCUSED = "LaggardsExcused"
    KEYS_PRESENT = "KeysPresent"
    IN_SYNC = "InSync"
    NO_CONFLICTS = "NoConflicts"
    SPEC_CHANGED = "SpecChanged"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not done, or is not good, and what to do about it."""

    reason: Reason
    message: str

"""Why something is as it is. Reasons appear in conditions, Events and logs; they are API and are never renamed."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """CamelCase, as condition reasons are. Each says what was found, not what is done about it."""

    # The files are good.
    ISSUED = "Issued"
    LIMITED_BY_CA = "LimitedByCA"

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
    BUNDLE_OLD = "BundleOld"
    FORMATS_CHANGED = "FormatsChanged"
    FORMATS_DAMAGED = "FormatsDamaged"
    METADATA_DRIFTED = "MetadataDrifted"
    SECRET_MOVED = "SecretMoved"

    # Why nothing is done.
    INVALID_SPEC = "InvalidSpec"
    NOT_PERMITTED = "NotPermitted"
    PASSWORD_MISSING = "PasswordMissing"
    SECRET_CONFLICT = "SecretConflict"
    SECRET_CONTESTED = "SecretContested"
    SUSPENDED = "Suspended"
    AUTHORITY_NOT_FOUND = "AuthorityNotFound"
    AUTHORITY_NOT_READY = "AuthorityNotReady"

    # Of authorities.
    SIGNING = "Signing"
    PREPARING = "Preparing"
    KEY_LOST = "KeyLost"
    LEDGER_LOST = "LedgerLost"
    CA_UNREADABLE = "CAUnreadable"
    CA_EXPIRED = "CAExpired"
    CLOCK_SKEW = "ClockSkew"
    OTHER_OPERATOR = "OtherOperator"
    SOURCE_INVALID = "SourceInvalid"
    BUNDLE_CONFLICT = "BundleConflict"
    LAGGARDS_EXCUSED = "LaggardsExcused"
    STABLE = "Stable"
    AS_ASKED = "AsAsked"
    SPEC_CHANGED = "SpecChanged"

"""What was read of an authority's CAs, and the evidence that it amounts to.

The shell reads, and hands over plain records. This module says which of them are believed and which are mere claims;
`recovery` says what follows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import AuthorityStatus, CAStatus
from mutualtls.core.api.orders import Compromise
from mutualtls.core.api.states import CAId, Role
from mutualtls.core.ca import generations
from mutualtls.core.ca.ledger import CAGeneration, Ledger, Mark, MarkedRoot, mark_of
from mutualtls.core.ca.rollout import Leaf
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.pki import certificates
from mutualtls.core.pki.certificates import UNREADABLE

MOST_OF_A_NAMESPACE = 20
"""So many Secrets of identities are read in each namespace at once: nobody can hide another's behind their own."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CASecret:
    """What a CA Secret says, but for its key."""

    ca: CAId
    certificate: bytes = b""
    """tls.crt: the CA, and the intermediates above it."""
    roots: bytes = b""
    """ca.crt: the root of an outside PKI."""
    has_key: bool = False
    mark: Mark | None = None
    """Its annotation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicFiles:
    """The public files in the Secret of an identity, where a tenant may write."""

    certificate: bytes = b""
    """tls.crt."""
    bundle: bytes = b""
    """ca.crt."""

    @property
    def cas(self) -> tuple[x509.Certificate, ...]:
        """The CAs in them."""
        return certificates_in(self.certificate) + certificates_in(self.bundle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """All that was read of the CAs of an authority, beside its ledger and its status."""

    ca_secrets: tuple[CASecret, ...] = ()
    files: tuple[PublicFiles, ...] = ()
    """Of the Secrets that `to_be_read` has chosen."""
    trust_bundle: bytes = b""
    """What is in the ClusterTrustBundle."""
    recorded_ends: tuple[tuple[str, datetime], ...] = ()
    """Ends of leaves that the statuses of identities record, each with the key id of the CA."""


def is_owned(authority: Authority, known: Ledger | None) -> bool:
    """Tell whether an operator has served the authority before. If not, nobody can have had a certificate of it."""
    return authority.operator_namespace is not None or known is not None


def to_be_read(leaves: Iterable[Leaf]) -> tuple[ObjectKey, ...]:
    """Choose the Secrets of identities that are read: for each CA and bundle one, and a few of each namespace.

    Of several the one whose leaf ends last is read. `leaves` are what Secrets claim, by a label that anybody may set.
    """
    chosen: dict[str, dict[tuple[str | None, str | None], ObjectKey]] = defaultdict(dict)
    for leaf in sorted(leaves, key=lambda leaf: leaf.not_after or _NEVER, reverse=True):
        of_namespace = chosen[leaf.secret.namespace]
        if len(of_namespace) < MOST_OF_A_NAMESPACE:
            of_namespace.setdefault((leaf.issuer_key_id, leaf.bundle_hash), leaf.secret)
    return tuple(secret for of_namespace in chosen.values() for secret in of_namespace.values())


def evidence(authority: Authority, known: Ledger | None, read: Readings) -> Evidence:
    """Judge what was read. `known` is a ledger that does not explain all of it.

    CA Secrets and that ledger are believed. Without a ledger the status is believed as well; with one it is a claim, as
    are the Secrets of identities.
    """
    secrets = sorted(read.ca_secrets, key=lambda secret: secret.ca)
    chains = [(secret.ca, certificates_in(secret.certificate)) for secret in secrets]
    of_before = known.generations if known is not None else ()
    of_status = numbered(authority.status.generations)
    of_ledger = numbered(of_before)
    marks = [mark_of(known)] if known is not None else []
    return Evidence(
        believed=(
            *((ca, chain[0]) for ca, chain in chains if chain),
            *(of_ledger if known is not None else of_status),
        ),
        above=(
            *(certificate for _, chain in chains for certificate in chain[1:]),
            *(certificate for ca in of_before for certificate in certificates_in(ca.chain.encode())),
        ),
        roots=tuple(root for secret in secrets for root in certificates_in(secret.roots)),
        published=certificates_in(read.trust_bundle),
        with_key=frozenset(secret.ca for secret in secrets if secret.has_key),
        buried=frozenset(secret.ca for secret in secrets if not secret.has_key),
        marks=(
            *marks,
            *(secret.mark for secret in read.ca_secrets if secret.mark is not None),
            marked(authority.status),
        ),
        ends=_last_ends(read.recorded_ends),
        claimed=(
            *(certificate for _, certificate in of_status if known is not None),
            *(certificate for files in read.files for certificate in files.cas),
        ),
        leaves=tuple(leaf for files in read.files for leaf in leaf_in(files.certificate)),
        is_owned=is_owned(authority, known),
        compromised=known.compromised if known is not None else (),
        additional_roots=known.additional_roots if known is not None else {},
    )


def numbered(recorded: Iterable[CAGeneration | CAStatus]) -> list[tuple[CAId, x509.Certificate]]:
    """Read the certificates of CAs that are recorded by their numbers."""
    return [(ca.id, one) for ca in recorded for one in certificates_in(ca.certificate.encode())]


def _last_ends(recorded: Iterable[tuple[str, datetime]]) -> dict[str, datetime]:
    """Tell the last end of a leaf of each CA, by its key id."""
    ends: dict[str, datetime] = {}
    for key_id, end in recorded:
        ends[key_id] = max(ends.get(key_id, end), end)
    return ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What tells that an authority has had CAs."""

    believed: tuple[tuple[CAId, x509.Certificate], ...] = ()
    """CAs that are believed, with the number they go by: of CA Secrets, then of the ledger; without one, the status."""
    above: tuple[x509.Certificate, ...] = ()
    """Intermediates of an outside PKI, of CA Secrets and of the ledger."""
    roots: tuple[x509.Certificate, ...] = ()
    """Roots of an outside PKI, of the Secrets of CAs under them, in the order of these."""
    published: tuple[x509.Certificate, ...] = ()
    """What is in the ClusterTrustBundle, which nobody else writes."""
    with_key: frozenset[CAId] = frozenset()
    """CAs whose Secrets hold their keys."""
    buried: frozenset[CAId] = frozenset()
    """CAs in whose place there is a tombstone."""
    marks: tuple[Mark, ...] = ()
    """How far it was: of the ledger before, of CA Secrets, of the status."""
    ends: Mapping[str, datetime] = field(default_factory=dict)
    """For each key id of a CA, the last end of a leaf of it that the status of an identity records."""
    claimed: tuple[x509.Certificate, ...] = ()
    """Certificates of CAs from where others may write, too: the Secrets of identities, and a status beside a ledger."""
    leaves: tuple[x509.Certificate, ...] = ()
    """Leaves in the Secrets of identities, where others may write."""
    is_owned: bool = True
    """Whether an operator has served the authority before. If not, nobody can have had a certificate of it."""
    compromised: tuple[Compromise, ...] = ()
    """What the ledger before has noted for good."""
    additional_roots: Mapping[str, str] = field(default_factory=dict)
    """Roots of others in the ledger before: where they came from cannot always be read again."""

    @property
    def is_empty(self) -> bool:
        """Whether there is none: the authority never had a CA."""
        ours = any(generations.identify(one) is not None for one in self.published)
        if self.believed or self.with_key or self.buried or ours:
            return False
        return not (self.is_owned and (self.leaves or self.ends or self.claims))

    @property
    def claims(self) -> dict[x509.Certificate, CAId]:
        """CAs of which it is claimed that they are ours, roots first."""
        named = {one: found for one in self.claimed if (found := generations.identify(one)) is not None}
        return dict(sorted(named.items(), key=lambda item: item[1][0] != Role.ROOT))

    @property
    def last(self) -> Mark | None:
        """The newest of what says how far it was."""
        return max((mark for mark in self.marks if mark.roots), key=lambda mark: mark.revision, default=None)


def marked(status: AuthorityStatus) -> Mark:
    """Read from a status how far the rotation of a root was. It is written a little later than marks are."""
    return Mark(
        revision=status.revision,
        roots=tuple(
            MarkedRoot(number=ca.number, fingerprint=ca.fingerprint, state=ca.state)
            for ca in status.generations
            if ca.role == Role.ROOT
        ),
    )


def certificates_in(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read the CAs among the certificates of a PEM file; nothing where it is none."""
    return tuple(certificate for certificate in _read(pem) if _is_ca(certificate))


def leaf_in(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read the leaf of a PEM file that begins with one; nothing where it does not."""
    return tuple(certificate for certificate in _read(pem)[:1] if not _is_ca(certificate))


def _read(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except UNREADABLE:
        return []


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificates.key_id(certificate)
    except (x509.ExtensionNotFound, *UNREADABLE):
        return False
    return constraints.ca

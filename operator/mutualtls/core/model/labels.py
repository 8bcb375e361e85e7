"""Every name that this product writes into a cluster: the API group, labels, annotations and object names.

What a label or an annotation means is said here and nowhere else.
"""

from __future__ import annotations

GROUP = "mutualtls.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

IDENTITY_KIND = "MutualTLSIdentity"
IDENTITY_PLURAL = "mutualtlsidentities"
AUTHORITY_KIND = "MutualTLSAuthority"
AUTHORITY_PLURAL = "mutualtlsauthorities"

FIELD_MANAGER = "mutualtls-operator"
"""Who we are in `metadata.managedFields`: the proof that nobody else has changed what we wrote."""

MANAGED_BY = "app.kubernetes.io/managed-by"
"""Label for people (`kubectl get -l`). We select by `PART`, never by this."""

PART = f"{GROUP}/part"
"""Label that our watch selects. One of those below."""

PART_FILES = "files"
"""The Secret of an identity: key, certificate, bundle."""
PART_CA = "ca"
"""The Secret of one CA generation, in the operator's namespace."""
PART_PASSWORD = "password"
"""A Secret of the user's with a password for stores. Without the label an identity could have any Secret tried out."""
PART_LEDGER = "ledger"
"""The ConfigMap in which an authority's CA generations are recorded, in the operator's namespace."""

PART_SPEC = "spec"
"""The ConfigMap with the last spec of an authority that could be read, beside its ledger."""

PART_BUNDLE = "bundle"
"""A ConfigMap or ClusterTrustBundle with the bundle of an authority, for whoever verifies and holds no identity."""

STEP = f"{GROUP}/step"
"""Annotation on a CA Secret: JSON of `ledger.Mark`, how far the replacing of a root is, should the ledger be lost."""

AUTHORITY = f"{GROUP}/authority"
"""Label on CA Secrets, ledgers, Secrets of files and bundles: name of the authority."""

PUBLISHED = f"{GROUP}/published"
"""Annotation on a bundle: JSON of `publish.Published`, which bundle it is and since when."""

IDENTITY_UID = f"{GROUP}/identity-uid"
"""Annotation on a Secret of files: uid of the identity that owns it. Without it a Secret is somebody else's."""

IDENTITY_NAME = f"{GROUP}/identity-name"
"""Annotation on a Secret of files: name of that identity, by which a later one of the same name adopts it."""

FACTS = f"{GROUP}/facts"
"""Annotation on a Secret of files: JSON of `facts.Facts`, what its files say. Nothing in it is secret."""

OWNED = f"{GROUP}/owned"
"""Annotation on a Secret of files: JSON of `facts.Owned`, the labels, annotations and data keys that we put there."""

ROTATE_ROOT = f"{GROUP}/rotate-root"
"""Annotation on an authority: FINGERPRINT/NUMBER, of the root that signs and of the one that is to replace it."""

ROTATE_ISSUING = f"{GROUP}/rotate-issuing"
"""Annotation on an authority: FINGERPRINT/NUMBER, of the issuing CA that signs and of the one that is to replace it."""

APPROVE = f"{GROUP}/approve"
"""Annotation on an authority: FINGERPRINT/PHASE, of the incoming root and the phase to be entered."""

ROLL_BACK = f"{GROUP}/roll-back"
"""Annotation on an authority: fingerprint of the incoming root, which is to go again."""

COMPROMISED = f"{GROUP}/compromised"
"""Annotation on an authority: FINGERPRINT[;by=RFC 3339 TIME], by comma, of CAs whose keys others may have."""

ABANDON = f"{GROUP}/abandon"
"""Annotation on an authority: fingerprints, by comma, of roots whose keys are lost and that are to be given up."""

REISSUE = f"{GROUP}/reissue"
"""Annotation on an identity: serial number, as its status prints it, of a certificate to be replaced now."""

OPERATOR_NAMESPACE = f"{GROUP}/operator-namespace"
"""Annotation on an authority: namespace of the operator that serves it. Removing it hands the authority over."""


def ca_secret_name(authority: str, role: str, number: int) -> str:
    """Name the Secret of one CA generation. Distinct for every triple, as an authority's name is a DNS label."""
    return f"mutualtls-ca.{authority}.{role}.{number}"


def parse_ca_secret_name(secret_name: str) -> tuple[str, str, int] | None:
    """Read back authority, role and number from the name of a CA Secret; None for another name."""
    match secret_name.split("."):
        case ["mutualtls-ca", authority, "root" | "issuing" as role, number] if number.isdecimal():
            return authority, role, int(number)
        case _:
            return None


def of_part(authority: str, part: str) -> dict[str, str]:
    """Label an object in which the operator keeps something of an authority: its part, such as `PART_LEDGER`."""
    return {PART: part, AUTHORITY: authority, MANAGED_BY: FIELD_MANAGER}


def ledger_name(authority: str) -> str:
    """Name the ConfigMap that holds the ledger of an authority."""
    return f"mutualtls-ledger.{authority}"


def good_spec_name(authority: str) -> str:
    """Name the ConfigMap that holds the last good spec of an authority. It begins as a ledger's, as no bundle may."""
    return f"mutualtls-ledger.{authority}.spec"


def trust_bundle_name(authority: str) -> str:
    """Name the ClusterTrustBundle of an authority: it must begin with the signer's name, / written as a colon."""
    return f"{GROUP}:{authority}:bundle"


def signer_name(authority: str) -> str:
    """Name the signer, as certificates.k8s.io understands it, whose ClusterTrustBundle that is."""
    return f"{GROUP}/{authority}"


TLS_KEY = "tls.key"


TLS_CRT = "tls.crt"


CA_CRT = "ca.crt"


FILES = (TLS_KEY, TLS_CRT, CA_CRT)


SECRET_TYPE = "kubernetes.io/tls"

"""The `MutualTLSIdentity` as the API server holds it: typed, documented, bounded.

This is the source of `crds/mutualtlsidentities.yaml`; descriptions here are what `kubectl explain`
prints. What a spec means (names, durations, defaults that need the authority) is worked out in `desired`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import msgspec

from mutualtls.core import labels, schema
from mutualtls.core.status import CertificateStatus, Condition


class Usage(StrEnum):
    """Extended key usage, by its name in certificates.k8s.io."""

    SERVER_AUTH = "server auth"
    CLIENT_AUTH = "client auth"


class Algorithm(StrEnum):
    """Algorithm of a private key."""

    ECDSA = "ECDSA"
    RSA = "RSA"
    ED25519 = "Ed25519"


class Encoding(StrEnum):
    """PEM form of a private key: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017, RSA), SEC 1 (RFC 5915, ECDSA)."""

    PKCS8 = "PKCS8"
    PKCS1 = "PKCS1"
    SEC1 = "SEC1"


class RotationPolicy(StrEnum):
    """Whether a new certificate gets a new key."""

    ALWAYS = "Always"
    NEVER = "Never"


class DeletionPolicy(StrEnum):
    """What becomes of the Secret when its identity is deleted."""

    DELETE = "Delete"
    RETAIN = "Retain"


class Profile(StrEnum):
    """How PKCS#12 stores are encrypted."""

    MODERN = "Modern"
    LEGACY = "Legacy"


class Resource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of everything typed: camelCase in JSON, defaults left out."""


_SIZE_FITS = schema.rule(
    "!has(self.size) || (self.algorithm == 'ECDSA' ? self.size in [256, 384, 521] : "
    "self.algorithm == 'RSA' && self.size >= 2048 && self.size <= 8192)",
    "must fit the algorithm: 256, 384 or 521 for ECDSA, 2048 to 8192 for RSA, none for Ed25519",
    fieldPath=".size",
)
_ENCODING_FITS = schema.rule(
    "!has(self.encoding) || self.encoding == 'PKCS8' || (self.encoding == 'PKCS1' && self.algorithm == 'RSA') || "
    "(self.encoding == 'SEC1' && self.algorithm == 'ECDSA')",
    "must fit the algorithm: PKCS1 is for RSA, SEC1 for ECDSA, PKCS8 for all",
    fieldPath=".encoding",
)


class PrivateKeySpec(Resource, frozen=True, kw_only=True):
    """How the private key is made and written."""

    algorithm: Annotated[Algorithm, schema.field("Algorithm of the key. Defaults to ECDSA.")] = Algorithm.ECDSA
    size: Annotated[
        int | None,
        schema.field(
            "Size in bits: 256 (default), 384 or 521 for ECDSA; 2048 (default) to 8192 for RSA; none for Ed25519.",
            minimum=256,
            maximum=8192,
        ),
    ] = None
    encoding: Annotated[
        Encoding,
        schema.field("PEM form of tls.key: PKCS8 (default), PKCS1 (only RSA) or SEC1 (only ECDSA)."),
    ] = Encoding.PKCS8
    rotation_policy: Annotated[
        RotationPolicy,
        schema.field(
            "Always (default) makes a new key for every new certificate. Never keeps the key, as long as it is the "
            "one that status.certificate.publicKeyHash records and fits the spec.",
        ),
    ] = RotationPolicy.ALWAYS


class SecretSpec(Resource, frozen=True, kw_only=True):
    """The Secret that receives the files."""

    name: Annotated[
        str | None,
        schema.text(
            "Name of the Secret. Defaults to the name of the identity followed by -mtls.",
            longest=253,
            pattern=schema.DNS_SUBDOMAIN,
        ),
    ] = None
    labels: Annotated[
        dict[str, Annotated[str, schema.text("", longest=63)]],
        schema.metadata_map(
            "Labels to put on the Secret. Keys have a domain prefix only as the authority allows.",
            values_are_labels=True,
        ),
    ] = {}
    annotations: Annotated[
        dict[str, Annotated[str, schema.text("", longest=1024)]],
        schema.metadata_map(
            "Annotations to put on the Secret. Keys have a domain prefix only as the authority allows.",
            values_are_labels=False,
        ),
    ] = {}
    deletion_policy: Annotated[
        DeletionPolicy,
        schema.field("Delete (default) removes the Secret together with the identity, Retain leaves it."),
    ] = DeletionPolicy.DELETE


class CombinedPEMFormat(Resource, frozen=True, kw_only=True):
    """tls.pem: the private key, then the certificate and its intermediates."""


class DERFormat(Resource, frozen=True, kw_only=True):
    """key.der: the private key in the form that privateKey.encoding says; tls.der: the certificate alone."""


class SecretKeyReference(Resource, frozen=True, kw_only=True):
    """A value in a Secret of the same namespace."""

    name: Annotated[
        str,
        schema.text(
            "Name of the Secret. It must have the label mutualtls.dev/part: password.",
            longest=253,
            pattern=schema.DNS_SUBDOMAIN,
        ),
    ]
    key: Annotated[
        str,
        schema.text("Key in its data. Defaults to password.", longest=253, pattern="^[-._a-zA-Z0-9]+$"),
    ] = "password"


class PKCS12Format(Resource, frozen=True, kw_only=True):
    """keystore.p12: key, certificate and intermediates; truststore.p12: all roots of the CA bundle.

    Java loads both, also where it expects JKS.
    """

    password_secret_ref: Annotated[
        SecretKeyReference,
        schema.field(
            "The password of both stores: UTF-8 of at most 1024 bytes without line breaks; Java takes ASCII only. When "
            "it changes, the stores are written anew."
        ),
    ]
    profile: Annotated[
        Profile,
        schema.field(
            "Modern (default) encrypts by PBES2 with AES-256 and HMAC-SHA-256; Legacy by SHA-1 and triple DES, for "
            "readers that know nothing else, such as Java before 8u301."
        ),
    ] = Profile.MODERN


class FormatsSpec(Resource, frozen=True, kw_only=True):
    """Further files in the Secret, beside tls.key, tls.crt and ca.crt. An empty object asks for a format."""

    combined_pem: Annotated[
        CombinedPEMFormat | None,
        schema.field("tls.pem: the private key, then the certificate and its intermediates."),
    ] = msgspec.field(default=None, name="combinedPEM")
    der: Annotated[
        DERFormat | None,
        schema.field("key.der and tls.der: the private key, and the certificate without its intermediates."),
    ] = None
    pkcs12: Annotated[
        PKCS12Format | None,
        schema.field(
            "keystore.p12, with key, certificate and intermediates, and truststore.p12, with all roots of the CA "
            "bundle. Java loads both, also where it expects JKS."
        ),
    ] = None


_ONE_NAME_AT_LEAST = schema.rule(
    "!has(self.services) || size(self.services) > 0 || !has(self.serviceAccountName) || "
    "self.serviceAccountName != '' || (has(self.dnsNames) && size(self.dnsNames) > 0) || "
    "(has(self.ipAddresses) && size(self.ipAddresses) > 0) || (has(self.uris) && size(self.uris) > 0) || "
    "(has(self.emailAddresses) && size(self.emailAddresses) > 0) || "
    "(has(self.subject) && has(self.subject.commonName) && self.subject.commonName != '')",
    "at least one name must remain: a service, a serviceAccountName, a dnsName, an ipAddress, a uri, an emailAddress "
    "or a subject.commonName; or leave services out",
)
_ONE_RENEWAL_RULE = schema.rule(
    "!(has(self.renewBefore) && has(self.renewBeforePercentage))",
    "set renewBefore or renewBeforePercentage, not both",
    fieldPath=".renewBeforePercentage",
)
_RENEW_WITHIN_LIFE = schema.rule(
    "!has(self.duration) || !has(self.renewBefore) || !self.duration.matches('^[0-9]{1,5}[hms]') || "
    "!self.renewBefore.matches('^[0-9]{1,5}[hms]') || duration(self.renewBefore) < duration(self.duration)",
    "must be shorter than duration",
    fieldPath=".renewBefore",
)
_DNS_NAME = schema.text(
    "A DNS name.",
    schema.rule(
        rf"self.matches(r'^(\*\.)?({schema.DNS_NAME_LABEL}\.)*{schema.DNS_NAME_LABEL}$')",
        "must be a DNS name: labels of letters, digits and hyphens between dots, without a dot at the end; the first "
        "may be *",
    ),
    schema.rule(
        r"!self.matches(r'(^|\.)([0-9]+|0[xX][0-9a-fA-F]*)$')",
        "must not end in a number: IP addresses go into ipAddresses",
    ),
    longest=253,
)
_IP_ADDRESS = schema.text(
    "An IP address.",
    schema.rule(
        "isIP(self)", "must be an IPv4 or IPv6 address without a zone, and not an IPv4 address written as IPv6"
    ),
    longest=45,
)
_URI = schema.form(
    "A URI.",
    rf"^([uU][rR][nN](:{schema.URN_PART}){{2,}}|[A-Za-z][A-Za-z0-9+.-]*://{schema.HOST_LABEL}(\.{schema.HOST_LABEL})*"
    rf"(:[0-9]+)?(/{schema.URI_SEGMENT})*/?)$",
    "must be an absolute URI with a DNS name as its host, or a URN, without user, query, fragment and empty segments",
    longest=1024,
)
_EMAIL_ADDRESS = schema.form(
    "An e-mail address.",
    rf"^{schema.EMAIL_LOCAL_PART}@({schema.DNS_NAME_LABEL}\.)*{schema.DNS_NAME_LABEL}$",
    "must be an e-mail address of ASCII characters before the @ and a DNS name after it",
    longest=254,
)


_Text64 = Annotated[str, schema.text("A value.", longest=64)]
_Text128 = Annotated[str, schema.text("A value.", longest=128)]


class SubjectSpec(Resource, frozen=True, kw_only=True):
    """Subject of the certificate (its distinguished name)."""

    common_name: Annotated[
        str,
        schema.text(
            "Common name: a DNS name that the certificate carries, or what a permit of the authority allows. At most "
            "64 bytes.",
            longest=64,
        ),
    ] = ""
    organizations: Annotated[tuple[_Text64, ...], schema.unique("Organizations (O).", most=10)] = ()
    organizational_units: Annotated[tuple[_Text64, ...], schema.unique("Organizational units (OU).", most=10)] = ()
    countries: Annotated[
        tuple[
            Annotated[str, schema.form("A country.", "^[A-Z]{2}$", "must be two upper-case letters", longest=2)], ...
        ],
        schema.unique("Countries (C), by their two letters of ISO 3166.", most=10),
    ] = ()
    localities: Annotated[tuple[_Text128, ...], schema.unique("Localities (L).", most=10)] = ()
    provinces: Annotated[tuple[_Text128, ...], schema.unique("States or provinces (ST).", most=10)] = ()
    serial_number: Annotated[
        str,
        schema.form(
            "Serial number of a device (serialNumber). It has nothing to do with that of the certificate.",
            r"^[A-Za-z0-9 \x27()+,./:=?-]*$",
            "must have letters, digits, blanks and '()+,-./:=? only",
            longest=64,
        ),
    ] = ""


class IdentitySpec(Resource, frozen=True, kw_only=True):
    """What the identity is and how its files are made.

    An empty spec works: it is a server and client identity for the Service and the service account of the identity's
    own name, in the Secret NAME-mtls, from the authority `default`.
    """

    authority: Annotated[
        str,
        schema.text(
            "Name of the MutualTLSAuthority that signs. Defaults to default.",
            longest=63,
            pattern=schema.DNS_LABEL,
        ),
    ] = "default"
    usages: Annotated[
        tuple[Usage, ...],
        schema.unique("What the certificate may be used for (extended key usages). Defaults to both.", least=1, most=2),
    ] = (Usage.SERVER_AUTH, Usage.CLIENT_AUTH)
    services: Annotated[
        tuple[Annotated[str, schema.text("Name of a Service.", longest=63, pattern=schema.DNS_LABEL)], ...] | None,
        schema.unique(
            "Services of this namespace. Each gives the DNS names SERVICE.NAMESPACE.svc and "
            "SERVICE.NAMESPACE.svc.CLUSTERDOMAIN. Left out, it is the Service of the identity's own name; an empty "
            "list means none.",
            most=50,
        ),
    ] = None
    service_account_name: Annotated[
        str | None,
        schema.text(
            "Service account of this namespace, which gives the SPIFFE ID "
            "spiffe://TRUSTDOMAIN/ns/NAMESPACE/sa/NAME. Left out, it is the one of the identity's own name; an empty "
            "string means none.",
            longest=253,
            pattern=f"^$|{schema.DNS_SUBDOMAIN}",
        ),
    ] = None
    dns_names: Annotated[
        tuple[Annotated[str, _DNS_NAME], ...],
        schema.unique(
            "Further DNS names. Without a permit of the authority: names of this namespace's Services "
            "(SERVICE.NAMESPACE.svc, with or without the cluster's domain), names below them, and wildcards below them "
            "such as *.db.NAMESPACE.svc.",
            most=100,
        ),
    ] = ()
    ip_addresses: Annotated[
        tuple[Annotated[str, _IP_ADDRESS], ...],
        schema.unique("IP addresses, which need a permit of the authority.", most=50),
    ] = ()
    uris: Annotated[
        tuple[Annotated[str, _URI], ...],
        schema.unique(
            "Further URIs, which need a permit of the authority, but for SPIFFE IDs of this namespace's service "
            'accounts. SPIFFE takes certificates with one URI only: set serviceAccountName to "" for another one.',
            most=50,
        ),
    ] = ()
    email_addresses: Annotated[
        tuple[Annotated[str, _EMAIL_ADDRESS], ...],
        schema.unique("E-mail addresses, which need a permit of the authority.", most=50),
    ] = ()
    subject: Annotated[
        SubjectSpec,
        schema.field(
            "Subject of the certificate. Empty unless something is set here; needs a permit of the authority."
        ),
    ] = SubjectSpec()
    duration: Annotated[
        str | None,
        schema.duration(
            "Life of a certificate from its issuance, such as 24h. Defaults to the authority's leaf.duration and must "
            "lie within the authority's bounds.",
        ),
    ] = None
    renew_before: Annotated[
        str | None,
        schema.duration(
            "Time left of the certificate's life at which it is renewed. Defaults to a third of the duration.",
            least="1s",
        ),
    ] = None
    renew_before_percentage: Annotated[
        int | None,
        schema.field(
            "Percentage of the duration that is left when the certificate is renewed, 1 to 90. Instead of renewBefore.",
            minimum=1,
            maximum=90,
        ),
    ] = None
    private_key: Annotated[
        PrivateKeySpec, schema.field("How the private key is made and written.", _SIZE_FITS, _ENCODING_FITS)
    ] = PrivateKeySpec()
    secret: Annotated[SecretSpec, schema.field("The Secret that receives the files.")] = SecretSpec()
    formats: Annotated[
        FormatsSpec, schema.field("Further files in the Secret, beside tls.key, tls.crt and ca.crt.")
    ] = FormatsSpec()
    suspend: Annotated[
        bool,
        schema.field(
            "True: no new key and no new certificate until it is false again. The CA bundle is still kept current."
        ),
    ] = False


class IdentityStatus(Resource, frozen=True, kw_only=True):
    """What the operator observed, and the certificate that is in the Secret."""

    observed_generation: Annotated[
        int, schema.field("The metadata.generation that this status is about; -1 until there is one.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...],
        schema.by_type(
            "Ready: the Secret holds valid files for the spec. Stalled: only a change by the user can help."
        ),
    ] = ()
    certificate: Annotated[CertificateStatus | None, schema.field("The certificate that is in the Secret.")] = None
    secret_name: Annotated[str | None, schema.text("Name of the Secret that holds the files.", longest=253)] = None
    bundle: Annotated[str | None, schema.text("Hash of the CA bundle (ca.crt) that is in the Secret.", longest=80)] = (
        None
    )


CEL_ON_SPEC = (_ONE_NAME_AT_LEAST, _ONE_RENEWAL_RULE, _RENEW_WITHIN_LIFE)
CEL_ON_ROOT = (
    schema.rule(
        "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')",
        "must be a DNS label: at most 63 characters, no dots",
        fieldPath=".metadata.name",
    ),
)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """One `MutualTLSIdentity`, with what is needed of its metadata."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    spec: IdentitySpec
    status: IdentityStatus
    reissue: str | None = None
    """Serial number of the certificate that an order wants replaced."""
    is_deleting: bool = False
    fault: str | None = None
    """Why the spec could not be read, as when it was stored under an older CRD; `spec` is then empty."""

    @property
    def key(self) -> str:
        """`NAMESPACE/NAME`."""
        return f"{self.namespace}/{self.name}"

    @property
    def secret_name(self) -> str:
        """Name of the Secret that is asked for."""
        return self.spec.secret.name or f"{self.name}-mtls"


def parse(body: dict[str, Any]) -> Identity:
    """Read an identity from JSON of the API server. A spec that does not fit the schema becomes a `fault`."""
    metadata = body["metadata"]
    spec, fault = convert_spec(body, IdentitySpec)
    generation, reissue, is_deleting = parse_metadata(metadata)
    return Identity(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=generation,
        resource_version=metadata["resourceVersion"],
        spec=spec,
        status=convert_status(body, IdentityStatus),
        reissue=reissue,
        is_deleting=is_deleting,
        fault=fault,
    )


def parse_metadata(metadata: Mapping[str, Any]) -> tuple[int, str | None, bool]:
    """Read generation, re-issue order and whether it is being deleted: what an identity is to be worked on for."""
    reissue = (metadata.get("annotations") or {}).get(labels.REISSUE)
    return metadata["generation"], reissue, "deletionTimestamp" in metadata


_T = TypeVar("_T", bound=Resource)


def convert_spec(body: dict[str, Any], kind: type[_T]) -> tuple[_T, str | None]:
    """Read a spec, and why it could not be read."""
    try:
        return msgspec.convert(body.get("spec") or {}, kind), None
    except msgspec.ValidationError as error:
        return kind(), str(error)


def convert_status(body: dict[str, Any], kind: type[_T]) -> _T:
    """Read a status. One that does not fit is no status: it is written anew."""
    try:
        return msgspec.convert(body.get("status") or {}, kind)
    except msgspec.ValidationError:
        return kind()

"""The spec of a `MutualTLSIdentity`: a source of its CRD. Descriptions are what `kubectl explain` prints."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from mutualtls.core.api.algorithms import Algorithm, Encoding, Usage
from mutualtls.core.model import schema
from mutualtls.core.model.resource import Resource
from mutualtls.core.model.shared import share


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


_SIZE_FITS = schema.rule(
    "!has(self.size) || (!has(self.algorithm) || self.algorithm == 'ECDSA' ? self.size in [256, 384, 521] : "
    "self.algorithm == 'RSA' && self.size >= 2048 && self.size <= 8192)",
    "must fit the algorithm: 256, 384 or 521 for ECDSA, 2048 to 8192 for RSA, none for Ed25519",
    fieldPath=".size",
)


_ENCODING_FITS = schema.rule(
    "!has(self.encoding) || self.encoding == 'PKCS8' || self.encoding == "
    "(!has(self.algorithm) || self.algorithm == 'ECDSA' ? 'SEC1' : self.algorithm == 'RSA' ? 'PKCS1' : 'PKCS8')",
    "must fit the algorithm: PKCS1 is for RSA, SEC1 for ECDSA, PKCS8 for all",
    fieldPath=".encoding",
)


class PrivateKeySpec(Resource, frozen=True, kw_only=True):
    """How the private key is generated and encoded."""

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
            "Always (default) generates a new key for every new certificate. Never keeps the key as long as it is the "
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
            "Labels to put on the Secret. Keys may have the domain prefixes that the authority allows.",
            values_are_labels=True,
        ),
    ] = msgspec.field(default_factory=dict)
    annotations: Annotated[
        dict[str, Annotated[str, schema.text("", longest=1024)]],
        schema.metadata_map(
            "Annotations to put on the Secret. Keys may have the domain prefixes that the authority allows.",
            values_are_labels=False,
        ),
    ] = msgspec.field(default_factory=dict)
    deletion_policy: Annotated[
        DeletionPolicy,
        schema.field("Delete (default) deletes the Secret together with the identity; Retain keeps it."),
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
            "it changes, the stores are written again."
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
    """Additional files in the Secret, beside tls.key, tls.crt and ca.crt. An empty object asks for a format."""

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
        schema.choice("What the certificate may be used for (extended key usages). Defaults to both.", most=2),
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
            "Additional DNS names. Without a permit of the authority: names of this namespace's Services "
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
            "Additional URIs, which need a permit of the authority, except for SPIFFE IDs of this namespace's service "
            'accounts. SPIFFE accepts only certificates with one URI: set serviceAccountName to "" to use another one.',
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
            "Lifetime of a certificate from its issuance, such as 24h. Defaults to the authority's leaf.duration and "
            "must be within the authority's bounds.",
        ),
    ] = None
    renew_before: Annotated[
        str | None,
        schema.duration(
            "How long before its end the certificate is renewed. Defaults to a third of the duration.",
            least="1s",
        ),
    ] = None
    renew_before_percentage: Annotated[
        int | None,
        schema.field(
            "Percentage of the duration that is left when the certificate is renewed, 1 to 90. Replaces renewBefore.",
            minimum=1,
            maximum=90,
        ),
    ] = None
    private_key: Annotated[
        PrivateKeySpec, schema.field("How the private key is generated and encoded.", _SIZE_FITS, _ENCODING_FITS)
    ] = PrivateKeySpec()
    secret: Annotated[SecretSpec, schema.field("The Secret that receives the files.")] = SecretSpec()
    formats: Annotated[
        FormatsSpec, schema.field("Additional files in the Secret, beside tls.key, tls.crt and ca.crt.")
    ] = FormatsSpec()
    suspend: Annotated[
        bool,
        schema.field(
            "If true, no key and no certificate is made until it is false again. The CA bundle is still kept current."
        ),
    ] = False

    def __post_init__(self) -> None:
        share(self, "authority")


CEL_ON_SPEC = (_ONE_NAME_AT_LEAST, _ONE_RENEWAL_RULE, _RENEW_WITHIN_LIFE)

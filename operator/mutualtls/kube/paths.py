"""Paths of the objects that the operator reads and writes."""

from __future__ import annotations

from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey

SECRETS = "/api/v1/secrets"
CONFIG_MAPS = "/api/v1/configmaps"
TRUST_BUNDLES = "/apis/certificates.k8s.io/v1/clustertrustbundles"
NAMESPACES = "/api/v1/namespaces"
IDENTITIES = f"/apis/{labels.API_VERSION}/{labels.IDENTITY_PLURAL}"
AUTHORITIES = f"/apis/{labels.API_VERSION}/{labels.AUTHORITY_PLURAL}"


def namespace(name: str) -> str:
    """Path of a namespace."""
    return f"{NAMESPACES}/{name}"


def secrets(namespace: str) -> str:
    """Path of the Secrets of a namespace."""
    return f"{NAMESPACES}/{namespace}/secrets"


def secret(namespace: str, name: str) -> str:
    """Path of a Secret."""
    return f"{secrets(namespace)}/{name}"


def config_maps(namespace: str) -> str:
    """Path of the ConfigMaps of a namespace."""
    return f"{NAMESPACES}/{namespace}/configmaps"


def config_map(namespace: str, name: str) -> str:
    """Path of a ConfigMap."""
    return f"{config_maps(namespace)}/{name}"


def copy(key: ObjectKey) -> str:
    """Path of a copy of a bundle: a ConfigMap, or with no namespace in its key a ClusterTrustBundle."""
    return config_map(*key) if key.namespace else f"{TRUST_BUNDLES}/{key.name}"


def identity(namespace: str, name: str) -> str:
    """Path of a MutualTLSIdentity."""
    return f"/apis/{labels.API_VERSION}/namespaces/{namespace}/{labels.IDENTITY_PLURAL}/{name}"


def authority(name: str) -> str:
    """Path of a MutualTLSAuthority."""
    return f"{AUTHORITIES}/{name}"


def events(namespace: str) -> str:
    """Path of the Events of a namespace."""
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"


def leases(namespace: str) -> str:
    """Path of the Leases of a namespace."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def lease(namespace: str, name: str) -> str:
    """Path of a Lease."""
    return f"{leases(namespace)}/{name}"

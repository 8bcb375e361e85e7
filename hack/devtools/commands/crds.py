"""Write the CRDs in `crds/`, and in the chart, from the typed model: `hack/crds`; `--check` only compares.

The chart has files of its own: a link would be dropped by a zip, or by what fetches the chart from Git.

msgspec's JSON schema is the raw material. What the API server refuses in a CRD or what says nothing is taken out:
references are inlined, `anyOf` with null becomes the other type, titles, nulls and empty defaults go.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml

from mutualtls.core.api import authority_spec, authority_status, identity_spec, identity_status
from mutualtls.core.model import labels, schema
from mutualtls.core.model.scope import SPEC_AUTHORITY

TOP = Path(__file__).parents[3]
FOLDERS = (TOP / "crds", TOP / "charts" / "mutualtls-operator" / "crds")

_DEFS = "#/$defs/"
_DESCRIPTIONS = {
    labels.IDENTITY_KIND: "A MutualTLSIdentity gets a Secret with a private key, a certificate and the CA bundle for "
    "mutual TLS. Read on in docs/concepts.md of mutualtls-operator.",
    labels.AUTHORITY_KIND: "A MutualTLSAuthority holds the CA that signs the certificates of MutualTLSIdentities. Read "
    "on in docs/concepts.md of mutualtls-operator.",
}
_Rules = tuple[dict[str, str], ...]
_SPEC: dict[str, tuple[type[msgspec.Struct], type[msgspec.Struct], _Rules]] = {
    labels.IDENTITY_KIND: (
        identity_spec.IdentitySpec,
        identity_status.IdentityStatus,
        identity_spec.CEL_ON_SPEC,
    ),
    labels.AUTHORITY_KIND: (
        authority_spec.AuthoritySpec,
        authority_status.AuthorityStatus,
        authority_spec.CEL_ON_SPEC,
    ),
}


def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Write the structural schema (OpenAPI v3, as CRDs take it) of a typed resource."""
    (top,), definitions = msgspec.json.schema_components([kind], ref_template=_DEFS + "{name}")
    cleaned: dict[str, Any] = _clean(top, definitions)
    return cleaned


def _clean(node: Any, definitions: dict[str, Any]) -> Any:
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        inlined = definitions[node["$ref"].removeprefix(_DEFS)]
        beside = {name: value for name, value in node.items() if name != "$ref"}
        return _clean({**inlined, **beside}, definitions)
    if "anyOf" in node:
        (real,) = [option for option in node["anyOf"] if option != {"type": "null"}]
        beside = {name: value for name, value in node.items() if name != "anyOf"}
        return _clean({**real, **beside}, definitions)
    result = {name: value for name, value in node.items() if name not in {"title", "properties", "items"}}
    if "properties" in node:
        result["properties"] = {name: _clean(below, definitions) for name, below in node["properties"].items()}
        result.pop("additionalProperties", None)
    if isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = _clean(node["additionalProperties"], definitions)
    if "description" in result:
        result["description"] = _unwrapped(result["description"])
    if "items" in node:
        result["items"] = _clean(node["items"], definitions)
    if "enum" in result:
        result["type"] = "string"
        result["enum"] = list(result["enum"])
    if "default" in result and not _is_worth_setting(result):
        del result["default"]
    return {name: value for name, value in result.items() if not _says_nothing(name, value)}


def _says_nothing(name: str, value: Any) -> bool:
    """Tell what is left out; empty properties, too: Helm would, and then find that kubectl has applied another CRD."""
    return value in ([], "") or (name == "properties" and not value)


def _unwrapped(description: str) -> str:
    """Join the lines of each paragraph, which were broken for the source's width."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in description.split("\n\n"))


def _is_worth_setting(node: dict[str, Any]) -> bool:
    """Keep defaults that say something; an empty object counts where it lets the defaults below it be filled in."""
    default = node["default"]
    if default == {}:
        return any("default" in below for below in node.get("properties", {}).values())
    return default not in (None, "", [], (), False)


_NAME = {"type": "string", "maxLength": 253, **schema.rules(schema.IS_DNS_LABEL)}
"""Judged here rather than by a rule on the whole object, which the API server would take apart for it at each write."""
_WHOLE = {"x-kubernetes-map-type": "atomic"}
"""A status has one writer, so `managedFields` need not list its fields one by one (docs/decisions/0016)."""
_STORED = "authority"
"""The one default of an identity that the API server fills in: people select identities by that field."""


def _unfilled(node: dict[str, Any]) -> dict[str, Any]:
    """Take the defaults out of a schema: the operator knows them, and descriptions tell of them.

    Each field that the API server fills in is read, judged and listed in `managedFields` again at each write of the
    status (docs/decisions/0016). That is worth it for the few authorities, not for identities.
    """
    below = {name: _unfilled(one) for name, one in node.get("properties", {}).items()}
    kept = {name: value for name, value in node.items() if name not in {"default", "properties"}}
    return kept | ({"properties": below} if below else {})


def _of_identities(spec: dict[str, Any]) -> dict[str, Any]:
    """Leave the API server one default to fill in."""
    properties = _unfilled(spec)["properties"] | {_STORED: spec["properties"][_STORED]}
    return spec | {"properties": properties}


def crd(
    kind: str,
    *,
    plural: str,
    short_name: str,
    scope: str,
    columns: list[dict[str, Any]],
    selectable: Iterable[str] = (),
) -> dict[str, Any]:
    """Write one CustomResourceDefinition. `selectable` are fields by which the API server selects its objects."""
    spec_type, status_type, spec_rules = _SPEC[kind]
    filled = schema_of(spec_type)
    given = _of_identities(filled) if kind == labels.IDENTITY_KIND else filled
    spec = {**given, "default": {}, "x-kubernetes-validations": list(spec_rules)}
    status = schema_of(status_type) | {"default": {"observedGeneration": -1}} | _WHOLE
    root = {
        "type": "object",
        "description": _DESCRIPTIONS[kind],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": _NAME}},
            "spec": spec,
            "status": status,
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{labels.GROUP}"},
        "spec": {
            "group": labels.GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                "categories": ["mutualtls"],
            },
            "scope": scope,
            "versions": [
                {
                    "name": labels.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    **({"selectableFields": [{"jsonPath": f".{field}"} for field in selectable]} if selectable else {}),
                    "schema": {"openAPIV3Schema": root},
                }
            ],
        },
    }


def _column(name: str, path: str, *, wide: bool = False, kind: str = "string") -> dict[str, Any]:
    """Write a column of `kubectl get`; `wide` ones show with `-o wide` only.

    Times are strings: a date column prints `<invalid>` for the future.
    """
    return {"name": name, "type": kind, "jsonPath": path} | ({"priority": 1} if wide else {})


_READY = '.status.conditions[?(@.type=="Ready")]'
_AGE = _column("Age", ".metadata.creationTimestamp", kind="date")


def crds() -> dict[str, dict[str, Any]]:
    """Write both CRDs, by the name of their file."""
    identities = crd(
        labels.IDENTITY_KIND,
        plural=labels.IDENTITY_PLURAL,
        short_name="mtls",
        scope="Namespaced",
        columns=[
            _column("Ready", f"{_READY}.status"),
            _column("Reason", f"{_READY}.reason"),
            _column("Secret", ".status.secretName"),
            _column("Expires", ".status.certificate.notAfter"),
            _AGE,
            _column("Authority", ".spec.authority", wide=True),
            _column("Renews", ".status.certificate.renewalTime", wide=True),
            _column("Names", ".status.certificate.dnsNames", wide=True),
            _column("Message", f"{_READY}.message", wide=True),
        ],
        selectable=[SPEC_AUTHORITY],
    )
    authorities = crd(
        labels.AUTHORITY_KIND,
        plural=labels.AUTHORITY_PLURAL,
        short_name="mtlsca",
        scope="Cluster",
        columns=[
            _column("Ready", f"{_READY}.status"),
            _column("Reason", f"{_READY}.reason"),
            _column("Phase", '.status.conditions[?(@.type=="Rotating")].reason'),
            _column("Root expires", '.status.generations[?(@.role=="root")].notAfter'),
            _AGE,
            _column("Trust domain", ".spec.trustDomain", wide=True),
            _column("Message", f"{_READY}.message", wide=True),
        ],
    )
    return {f"{crd['metadata']['name'].split('.')[0]}.yaml": crd for crd in (identities, authorities)}


def text_of(definition: dict[str, Any]) -> str:
    """Write a CRD as the file holds it."""
    head = "# Written by hack/crds from operator/mutualtls/core; edit the typed model there.\n"
    return head + yaml.safe_dump(definition, sort_keys=False, width=120, allow_unicode=True)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if a file is old.")] = False,
) -> None:
    """Write the CRDs in crds/ and in the chart from the typed model."""
    texts = {folder / name: text_of(definition) for name, definition in crds().items() for folder in FOLDERS}
    old = [str(path.relative_to(TOP)) for path, text in texts.items() if not path.exists() or path.read_text() != text]
    for path, text in texts.items() if not check else ():
        path.write_text(text)
    if check and old:
        typer.echo(f"crds: not as the model says: {', '.join(old)}; run hack/crds", err=True)
        raise typer.Exit(code=1)
    typer.echo(f"crds: {'all current' if not old else 'wrote ' + ', '.join(old)}")


if __name__ == "__main__":
    app()

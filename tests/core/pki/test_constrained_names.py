"""Names under the constraints of a CA: verifiers that are not ours and the operator judge them alike."""

from __future__ import annotations

import ipaddress

import pytest
from cryptography import x509

from mutualtls.core.names import constraints
from mutualtls.core.names.names import Names
from mutualtls.core.pki import name_constraints
from support import judges
from support.trials import (
    DNS,
    EMAIL,
    EVERYBODY,
    GO,
    IP,
    JAVA,
    OPENSSL,
    PYTHON,
    URI,
    Row,
    extension,
    lay,
    permits,
    root,
    under,
)

pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")


def excludes(*names: x509.GeneralName) -> x509.NameConstraints:
    """Constraints that exclude names."""
    return x509.NameConstraints(None, names)


def network(text: str) -> x509.IPAddress:
    """A range of addresses."""
    return IP(ipaddress.ip_network(text))


SERVICE, SPIFFE = "orders.shop.svc", "spiffe://corp.example/ns/shop/sa/orders"
CONSTRAINED = [
    pytest.param(permits(DNS("corp.example.com")), Names(dns=(SERVICE,)), EVERYBODY, id="permits another domain"),
    pytest.param(permits(DNS("corp.example.com")), Names(dns=("a.corp.example.com",)), (), id="permits this one"),
    pytest.param(permits(DNS("svc")), Names(dns=(SERVICE,), uris=(SPIFFE,)), (), id="permits Services"),
    pytest.param(excludes(DNS("svc.cluster.local")), Names(dns=(SERVICE,)), (), id="excludes others"),
    pytest.param(
        excludes(DNS("svc.cluster.local")),
        Names(dns=(SERVICE, f"{SERVICE}.cluster.local")),
        EVERYBODY,
        id="excludes one of two",
    ),
    pytest.param(permits(DNS("SVC")), Names(dns=(SERVICE,)), (), id="in upper case"),
    pytest.param(excludes(DNS("")), Names(dns=(SERVICE,)), EVERYBODY, id="excludes all"),
    pytest.param(excludes(DNS("")), Names(ips=("10.1.2.3",)), (), id="excludes all of another kind"),
    pytest.param(
        permits(DNS(".shop.svc")), Names(dns=("shop.svc",)), EVERYBODY, id="a domain with a dot is not itself"
    ),
    pytest.param(permits(DNS("shop.svc")), Names(dns=("*.orders.shop.svc",)), (), id="a wildcard"),
    pytest.param(
        excludes(DNS("b.orders.shop.svc")), Names(dns=("*.orders.shop.svc",)), (GO,), id="a wildcard over one"
    ),
    pytest.param(permits(URI("corp.example")), Names(dns=(SERVICE,), uris=(SPIFFE,)), (), id="permits a trust domain"),
    pytest.param(permits(URI("other.example")), Names(uris=(SPIFFE,)), EVERYBODY, id="permits another trust domain"),
    pytest.param(permits(URI("example")), Names(uris=(SPIFFE,)), (OPENSSL, PYTHON, JAVA), id="a host is it alone"),
    pytest.param(permits(URI(".example")), Names(uris=(SPIFFE,)), (), id="hosts below a domain"),
    pytest.param(excludes(URI("example")), Names(uris=(SPIFFE,)), (GO,), id="to Go a host is all below it"),
    pytest.param(permits(DNS("svc")), Names(dns=(SERVICE,), uris=("urn:team:b",)), (GO,), id="a URI without a host"),
    pytest.param(permits(network("10.1.0.0/16")), Names(ips=("10.1.2.3",)), (), id="permits a range"),
    pytest.param(permits(network("10.1.0.0/16")), Names(ips=("10.2.2.3",)), EVERYBODY, id="permits another range"),
    pytest.param(
        excludes(network("0.0.0.0/0"), network("::/0")),
        Names(dns=(SERVICE,)),
        (),
        id="excludes addresses, none is asked",
    ),
    pytest.param(
        excludes(network("0.0.0.0/0"), network("::/0")), Names(ips=("::1",)), EVERYBODY, id="excludes all addresses"
    ),
    pytest.param(permits(EMAIL("example.com")), Names(emails=("a@example.com",)), (), id="permits a mail domain"),
    pytest.param(
        permits(EMAIL("example.com")), Names(emails=("a@b.example.com",)), (OPENSSL, PYTHON, JAVA), id="not below it"
    ),
    pytest.param(
        permits(EMAIL("b@example.com")), Names(emails=("a@example.com",)), EVERYBODY, id="permits another mailbox"
    ),
    pytest.param(
        excludes(EMAIL("a@example.com")), Names(emails=("a@example.com",)), EVERYBODY, id="excludes a mailbox"
    ),
]


@pytest.fixture(scope="module")
def constrained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What each verifier says of names under constraints."""
    folder = tmp_path_factory.mktemp("names")
    plain = Row(made=root())
    folders = {}
    for at, row in enumerate(CONSTRAINED):
        found, names, _ = row.values
        folders[str(row.id)] = lay(folder / str(at), plain, under(**extension(found))(), names)  # type: ignore[arg-type]
    return judges.verdicts(folders)


@pytest.mark.parametrize(
    ("found", "names", "refused_by", "at"), [pytest.param(*row.values, row.id, id=row.id) for row in CONSTRAINED]
)
def test_names_are_judged_by_the_constraints_of_a_ca(
    found: x509.NameConstraints,
    names: Names,
    refused_by: tuple[str, ...],
    at: str,
    constrained: dict[str, dict[str, str]],
) -> None:
    """A name is refused if one verifier would refuse the leaf, and only then."""
    read = name_constraints.read(under(**extension(found))().certificate, by="CN=Team")
    checks = (
        (names.dns, constraints.why_not_dns_name),
        (names.ips, constraints.why_not_ip),
        (names.uris, constraints.why_not_uri),
        (names.emails, constraints.why_not_email),
    )
    said = [why for of_kind, why_not in checks for name in of_kind if (why := why_not(name, read))]

    assert set(refused_by) & set(judges.ALL) == {who for who, why in constrained[at].items() if why}, constrained[at]
    assert bool(refused_by) is bool(said)
    assert all("CN=Team" in why for why in said)

"""A CA of an outside PKI: what of it is accepted, how it replaces another, and what becomes of it when it is gone."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from devtools.commands import crds
from mutualtls.core.api.algorithms import Encoding, Usage
from mutualtls.core.api.authority_status import CAStatus
from mutualtls.core.api.states import State
from mutualtls.core.api.status import CertificateStatus
from mutualtls.core.bundles import publish
from mutualtls.core.ca import source
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.ca.source import Source, SourceError
from mutualtls.core.leaf import facts, formats
from mutualtls.core.names.names import Names
from mutualtls.core.pki import certificates, issue
from mutualtls.core.pki.issue import CA
from mutualtls.core.pki.keys import KeyType
from mutualtls.core.rotation.steps import Hold
from support import strangers
from support.builders import DAY, ED25519, NOW, P256, RSA, Home, authority, key
from support.cas import ROOT
from support.outside_cas import (
    LIFE,
    SOON,
    files,
    of_intermediate,
    of_root,
    outside,
    outside_intermediate,
    outside_root,
    plain,
    tall,
)

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


# What is accepted


ACCEPTED = [
    pytest.param(files(outside_root()), of_root(), id="a root"),
    pytest.param(files(outside_root(), roots=(outside_root(),)), of_root(), id="a root that is in ca.crt, too"),
    pytest.param(
        files(outside_intermediate(), roots=(outside_root(),)), of_intermediate(), id="an intermediate, its root beside"
    ),
    pytest.param(
        files(outside_intermediate(), outside_root()), of_intermediate(), id="an intermediate, its root after it"
    ),
    pytest.param(
        files(outside_intermediate(), roots=(outside_root("Other"), outside_root())),
        of_intermediate(),
        id="an intermediate among other roots",
    ),
]


@pytest.mark.parametrize(("data", "expected"), ACCEPTED)
def test_a_ca_is_read(data: dict[str, bytes], expected: Source) -> None:
    """It is read with the root above it."""
    found = source.parse(data, is_tiered=True, now=NOW)

    assert (expected.root, expected.signer.certificate) == (found.root, found.signer.certificate)
    assert expected.is_intermediate is found.is_intermediate


def test_a_ca_for_servers_and_clients_is_read() -> None:
    """Its certificate names both usages."""
    purposes = (SERVER, CLIENT)

    assert source.parse(files(plain(purposes=purposes)), is_tiered=True, now=NOW).signer.key is not None


def test_a_twin_of_a_root_leads_nobody_astray() -> None:
    """It has the name and the key of the root, and yet another CA has signed it."""
    root, above = plain(name="Corp"), plain(name="Above", path_length=None)
    twin, below = plain(above, name="Corp"), plain(root, name="Team", path_length=0)
    found = source.parse(files(below, roots=(twin, root)), is_tiered=True, now=NOW)

    assert (root.certificate, ()) == (found.root, found.signer.intermediates)


def test_what_stands_above_a_ca_is_read_with_it() -> None:
    """Issuers come nearest first; the root goes into the CA's Secret, too."""
    found = tall().source()

    assert (tall().upper.certificate,) == found.signer.intermediates
    assert tall().root.certificate == found.root == found.signer.root


def refusal(brought: CA, known: CA, state: State) -> str:
    """Say what a source is refused for beside a root that is known already; nothing where it is not."""
    made = outside(Source(root=known.certificate, signer=known))
    before = msgspec.structs.replace(made.home.recorded(ROOT), state=state)
    try:
        ledger = Ledger(authority_uid="u", generations=(before,))
        source.parse(files(brought), is_tiered=False, now=NOW, known=ledger)
    except SourceError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("state", "is_refused"), [(State.ACTIVE, True), (State.WITHDRAWN, True), (State.GONE, False)])
def test_a_ca_that_takes_the_place_of_another_needs_a_key_of_its_own(state: State, *, is_refused: bool) -> None:
    """With the same key, a leaf could be of either CA, and would be replaced again and again."""
    said = refusal(plain(life=SOON), plain(), state)

    expected = "CN=P has the key that root 1 has under another certificate: its replacement needs a key of its own"
    assert (expected if is_refused else "") == said


@pytest.mark.parametrize(
    ("state", "is_refused"),
    [
        (State.PUBLISHED, False),
        (State.ACTIVE, False),
        (State.RETIRING, True),
        (State.WITHDRAWN, True),
        (State.LOST, True),
        (State.GONE, True),
    ],
)
def test_a_ca_that_was_replaced_does_not_come_again(state: State, *, is_refused: bool) -> None:
    """Nothing happens then, which would not be understood."""
    one = plain()
    said = refusal(one, one, state)

    expected = "CN=P is root 1, which was replaced: put the CA that signs there, or a new one"
    assert (expected if is_refused else "") == said


ONE, OTHER = outside_root(), outside_root("Other")
REFUSED = [
    pytest.param({}, "it has no tls.crt", id="nothing"),
    pytest.param({**files(ONE), "tls.crt": b"x"}, "tls.crt holds no certificates in PEM", id="no certificate"),
    pytest.param({**files(ONE), "ca.crt": b"x"}, "ca.crt holds no certificates in PEM", id="no roots"),
    pytest.param({**files(ONE), "tls.key": b""}, "tls.key is no private key", id="no key"),
    pytest.param({**files(ONE), "tls.key": files(OTHER)["tls.key"]}, "not the key of the first", id="another key"),
    pytest.param(files(outside_intermediate()), "is neither in tls.crt nor in ca.crt", id="no root"),
    pytest.param(
        files(outside_intermediate(), roots=(OTHER,)), "is neither in tls.crt nor in ca.crt", id="another root"
    ),
    pytest.param(files(plain(is_ca=False)), "is no CA (basicConstraints)", id="no CA"),
    pytest.param(files(plain(usage=False)), "has no keyUsage", id="no key usage"),
    pytest.param(files(plain(key_id=False)), "has no subjectKeyIdentifier", id="no key id"),
    pytest.param(
        files(plain(plain(), name="Team"), roots=(plain(number=2),)),
        "the CA that signed CN=Team is neither in tls.crt nor in ca.crt",
        id="a root of the same name",
    ),
    pytest.param(
        files(plain(plain(number=2))),
        "CN=P is no root: its authorityKeyIdentifier says that another CA of the same name has signed it",
        id="by another of its name",
    ),
    pytest.param(
        files(plain(purposes=(SERVER,))), "CN=P allows no client auth below it (extendedKeyUsage)", id="for servers"
    ),
    pytest.param(
        files(plain(purposes=(CLIENT,))), "CN=P allows no server auth below it (extendedKeyUsage)", id="for clients"
    ),
    pytest.param(
        files(plain(purposes=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,))),
        "CN=P allows no server auth",
        id="for any usage, which is none to OpenSSL",
    ),
    pytest.param(files(plain(path_length=0)), "allows 0 CAs below it, and 1 are needed", id="no room for another CA"),
]


@pytest.mark.parametrize(("data", "said"), REFUSED)
def test_what_cannot_be_used_is_refused(data: dict[str, bytes], said: str) -> None:
    """The refusal says what is wrong."""
    with pytest.raises(SourceError) as error:
        source.parse(data, is_tiered=True, now=NOW)

    assert said in str(error.value)


def test_the_key_of_another_certificate_is_told() -> None:
    """A chain that begins with its root is the other way round to ours."""
    below = outside_intermediate()
    data = {**files(below), "tls.crt": certificates.to_pem(outside_root().certificate, below.certificate)}
    with pytest.raises(SourceError, match=r"tls.key is the key of .*CN=Team, which is certificate 2 of tls.crt"):
        source.parse(data, is_tiered=True, now=NOW)


def test_names_of_files_as_istio_has_them_are_told() -> None:
    """The message has the names that they must have; other names stay as they are."""
    theirs = {"ca-cert.pem": b"x", "ca-key.pem": b"x", "root-cert.pem": b"x", "cert-chain.pem": b"x"}
    with pytest.raises(SourceError) as istio:
        source.parse(theirs, is_tiered=True, now=NOW)
    with pytest.raises(SourceError) as other:
        source.parse({"cert": b"x"}, is_tiered=True, now=NOW)

    expected = "put ca-cert.pem as tls.crt, ca-key.pem as tls.key, root-cert.pem as ca.crt"
    assert expected in str(istio.value)
    assert "it has no tls.crt, but cert" == str(other.value)


DER = outside_root().certificate.public_bytes(serialization.Encoding.DER)


def test_a_certificate_that_is_no_pem_is_told() -> None:
    """It may be in DER, or one of several may be damaged."""
    with pytest.raises(SourceError, match=r"tls.crt holds no certificates in PEM, but perhaps one in DER"):
        source.parse({**files(ONE), "tls.crt": DER}, is_tiered=True, now=NOW)
    good = certificates.to_pem(ONE.certificate)
    damaged = good.replace(b"\nMII", b"\nM!I")
    with pytest.raises(SourceError, match=r"tls.crt holds a certificate that cannot be read, 2 of 3: it is damaged"):
        source.parse({**files(ONE), "tls.crt": good + damaged + good}, is_tiered=True, now=NOW)


def test_roots_that_are_no_text_are_read() -> None:
    """They may come from the binaryData of a ConfigMap, with other bytes around their PEM."""
    content = b"M\xfcller's:\n" + certificates.to_pem(ONE.certificate)

    assert certificates.to_pem(ONE.certificate).decode() == source.roots(content.decode(errors=source.ANY_BYTES))
    with pytest.raises(SourceError, match="it holds no certificates in PEM, but perhaps one in DER"):
        source.roots(DER.decode(errors=source.ANY_BYTES))


def test_roots_in_a_source_that_are_not_above_its_ca_are_named() -> None:
    """Nothing is trusted by being there."""
    data = files(outside_intermediate(), roots=(outside_root(), outside_root("Other")))
    (warning,) = source.parse(data, is_tiered=True, now=NOW).warnings

    expected = "CN=Other in ca.crt is not above the CA and is not used: to have it trusted, list it in"
    assert expected in warning
    assert () == source.parse(files(outside_intermediate(), outside_root()), is_tiered=True, now=NOW).warnings


@pytest.mark.parametrize("name", sorted(strangers.NOT_READ_BY_GO | strangers.NOT_READ_BY_JAVA))
def test_a_root_that_some_place_cannot_hold_does_not_sign(name: str) -> None:
    """Beside others it is left out there; as a source it would leave nothing."""
    made = strangers.roots()[name]
    pem = certificates.to_pem(made.certificate)

    assert [*publish.left_out(pem), *formats.left_out(pem)]
    with pytest.raises(SourceError):
        source.parse(strangers.files(made), is_tiered=False, now=strangers.LIFE.not_before + DAY)


WEAK = strangers.rsa_key(1024)


def weak(*, is_used: bool) -> tuple[dict[str, bytes], Ledger]:
    """A CA that nobody would take in now, and a ledger in which it signs, or does not."""
    ca = strangers.ca("Weak", key=WEAK, life=LIFE)
    ledger = outside(Source(root=ca.certificate, signer=ca)).home.read_ledger()
    assert ledger is not None
    return files(ca), ledger if is_used else Ledger(authority_uid="u")


def test_a_ca_that_is_used_already_is_not_judged_again() -> None:
    """Nothing changes for the worse; what is so is named."""
    data, ledger = weak(is_used=True)
    found = source.parse(data, is_tiered=True, now=NOW, known=ledger)

    expected = (
        "it is used, as it was taken in before, and would not be now: CN=Weak has an RSA key of 1024 bits, and OpenSSL "
        "at security level 2 takes none below 2048"
    )
    assert (expected,) == found.warnings
    data, nothing = weak(is_used=False)
    with pytest.raises(SourceError, match="CN=Weak has an RSA key of 1024 bits"):
        source.parse(data, is_tiered=True, now=NOW, known=nothing)


def test_one_that_has_ended_is_not_judged_again_either() -> None:
    """Another test shows that it signs nothing any more."""
    made = outside(of_root())
    found = source.parse(files(ONE), is_tiered=True, now=LIFE.not_after, known=made.home.read_ledger())

    (warning,) = found.warnings
    assert "expired at 2027-02-06T03:04:05Z" in warning


def test_what_comes_under_a_root_that_is_used_is_judged() -> None:
    """It is judged even if it takes the place of a good one."""
    root = plain(name="Corp")
    made = outside(Source(root=root.certificate, signer=plain(root, name="Team", path_length=0)))
    brought = strangers.ca("Next", root, key=WEAK, life=LIFE)
    with pytest.raises(SourceError, match="CN=Next has an RSA key of 1024 bits"):
        source.parse(files(brought, roots=(root,)), is_tiered=True, now=NOW, known=made.home.read_ledger())


def test_what_is_wrong_with_a_source_stands_in_ready() -> None:
    """Users look there first: `kubectl get mtlsca -o wide`."""
    home = Home(source_fault="CN=Corp has an RSA key of 1024 bits")
    step = home.walk(authority(root={"secretRef": {"name": "corp"}}, trustDomain="corp"), now=NOW)

    assert isinstance(step, Hold)
    assert "there is no CA that can be used in Secret corp: CN=Corp has an RSA key of 1024 bits" == step.message


@pytest.mark.parametrize("size", [20, 48, 64, 65, 2000])
def test_a_key_identifier_of_any_length_can_be_told(size: int) -> None:
    """Statuses bound it in length, and a leaf still says which CA signed it."""
    ca = strangers.ca("Long", key_id=b"k" * size)
    leaf = issue.leaf(
        key(P256, 78).public_key(), ca, names=Names(dns=("a.b",)), usages=(Usage.SERVER_AUTH,), validity=LIFE
    )
    read = facts.of_leaf(leaf, intermediates=(), encoding=Encoding.PKCS8, ca=b"")
    bounds = [
        crds.schema_of(CertificateStatus)["properties"]["issuerKeyID"]["maxLength"],
        crds.schema_of(CAStatus)["properties"]["keyID"]["maxLength"],
    ]

    assert certificates.key_id(ca.certificate) == read.issuer_key_id
    assert len(read.issuer_key_id) <= min(bounds)
    assert (b"k" * size).hex() == read.issuer_key_id or size > 64


def deep(count: int) -> CA:
    """A CA under so many others below a root."""
    made = strangers.ca("Corp", life=LIFE)
    for number in range(count):
        made = strangers.ca(f"Team {number}", made, life=LIFE)
    return made


def test_what_is_too_large_to_be_told_or_sent_is_refused() -> None:
    """A status holds each CA; Java takes 32 KiB in a handshake, and eight certificates (JDK-8313236)."""
    with pytest.raises(SourceError, match=r"CN=P is 18[0-9]* bytes in PEM, more than 16384"):
        source.parse(files(plain(padding=13000)), is_tiered=True, now=NOW)
    with pytest.raises(SourceError, match="there are 8 CAs below the root, and a server in Java takes 7 beside a leaf"):
        source.parse(strangers.files(deep(8)), is_tiered=True, now=NOW)
    path = [plain(path_length=None)]
    for number in range(1, 4):
        path.append(plain(path[-1], path_length=None, name=f"P{number}", number=number, padding=9000))
    with pytest.raises(SourceError, match=r"CAs below the root are 28\d+ bytes, and Java takes 24576 in a handshake"):
        source.parse(files(*reversed(path[1:]), roots=(path[0],)), is_tiered=True, now=NOW)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        pytest.param(LIFE.not_after, "expired at 2027-02-06T03:04:05Z", id="ended"),
        pytest.param(LIFE.not_before - DAY, "is not valid before 2026-01-01T03:04:05Z", id="not begun"),
    ],
)
def test_a_ca_must_be_valid_now(now: datetime, said: str) -> None:
    """Each CA of its path must be, too."""
    with pytest.raises(SourceError) as error:
        source.parse(files(outside_root()), is_tiered=True, now=now)

    assert said in str(error.value)


def test_all_faults_are_named_at_once() -> None:
    """They include where the path to the root ends, and a missing key."""
    lacking = plain(plain(), name="Team", usage=False, key_id=False)
    data = {**files(lacking), "tls.key": files(ONE)["tls.key"]}
    with pytest.raises(SourceError) as error:
        source.parse(data, is_tiered=True, now=NOW)

    assert 4 == len(str(error.value).split("; "))
    assert data["tls.key"].decode().splitlines()[1] not in str(error.value)


@pytest.mark.parametrize(("kind", "is_good"), [(RSA, True), (ED25519, False)])
def test_which_keys_a_ca_may_have(kind: KeyType, *, is_good: bool) -> None:
    """Every verifier takes ECDSA and RSA keys (DESIGN section 5)."""
    if is_good:
        assert not source.parse(files(outside_root("Kind", kind)), is_tiered=True, now=NOW).is_intermediate
    else:
        with pytest.raises(SourceError):
            source.parse(files(outside_root("Kind", kind)), is_tiered=True, now=NOW)


def test_a_root_without_room_for_another_ca_signs_leaves_itself() -> None:
    """This is so if there is to be no issuing CA."""
    assert source.parse(files(plain(path_length=0)), is_tiered=False, now=NOW).signer.key is not None

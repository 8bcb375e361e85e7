"""A gRPC server that knows its callers by the names in their certificates, and loads renewed files at once."""

import os
import ssl
import tempfile
from concurrent import futures
from pathlib import Path

import grpc

FILES = Path(os.environ.get("FILES", "/var/run/mtls"))
ADDRESS = f"{os.environ.get('ADDRESS', '[::]')}:{os.environ.get('PORT', '8443')}"
CALLER = b"grpc-client.shop.svc"


def hello(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Accept only the caller's name: the chain alone says only that the caller has some certificate."""
    peer = context.auth_context()
    names = peer.get("x509_subject_alternative_name", [])
    if CALLER not in names:
        context.abort(grpc.StatusCode.PERMISSION_DENIED, f"may not call: {names}")
    return b"hello " + CALLER + b", certificate " + serial_number(peer["x509_pem_cert"][0])


def serial_number(pem: bytes) -> bytes:
    """Read the serial number of a certificate, with the one reader of certificates that Python has."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        return ssl._ssl._test_decode_cert(file.name)["serialNumber"].lower().encode()


def files() -> grpc.ServerCertificateConfiguration:
    """Read the files of one version: kubelet moves the link ..data, which changes all files at once."""
    try:
        folder = (FILES / "..data").resolve(strict=True)
        key, chain, roots = ((folder / name).read_bytes() for name in ("tls.key", "tls.crt", "ca.crt"))
    except FileNotFoundError:
        return files()  # it moved it just now
    return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=roots)


handlers = {"Hello": grpc.unary_unary_rpc_method_handler(hello)}
server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Greeter", handlers)])
# `files` is called for every connection.
credentials = grpc.dynamic_ssl_server_credentials(files(), files, require_client_authentication=True)
server.add_secure_port(ADDRESS, credentials)
server.start()
server.wait_for_termination()

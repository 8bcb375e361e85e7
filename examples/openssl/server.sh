#!/bin/sh
# A server to try clients with: it lets in those of one name, and shows them what it knows of the connection. It takes the
# files of a renewal only when it is started again.
files=${FILES:-/var/run/mtls}
exec openssl s_server -accept "${ADDRESS:-[::]}:${PORT:-8443}" -www \
    -cert "$files/tls.crt" -key "$files/tls.key" -cert_chain "$files/tls.crt" \
    -CAfile "$files/ca.crt" -Verify 2 -verify_return_error -x509_strict \
    -verify_hostname "${CALLER:-openssl-client.shop.svc}"

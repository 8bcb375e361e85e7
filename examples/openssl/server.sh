#!/bin/sh
# A server to test clients with: it accepts clients of one name, and shows them the details of the connection. It loads
# renewed files only when it restarts.
files=${FILES:-/var/run/mtls}
exec openssl s_server -accept "${ADDRESS:-[::]}:${PORT:-8443}" -www \
    -cert "$files/tls.crt" -key "$files/tls.key" -cert_chain "$files/tls.crt" \
    -CAfile "$files/ca.crt" -Verify 2 -verify_return_error -x509_strict \
    -verify_hostname "${CALLER:-openssl-client.shop.svc}"

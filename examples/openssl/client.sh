#!/bin/sh
# A client to test servers with: it shows its certificate, verifies the server's chain and name, and requests /.
files=${FILES:-/var/run/mtls}
server=${SERVER:-openssl-server.shop.svc:8443}
name=${SERVER_NAME:-${server%:*}}
printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -connect "$server" -servername "$name" -quiet -ign_eof \
    -cert "$files/tls.crt" -key "$files/tls.key" -cert_chain "$files/tls.crt" \
    -CAfile "$files/ca.crt" -verify_hostname "$name" -verify_return_error -x509_strict

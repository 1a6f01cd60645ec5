#!/bin/sh
# Makes what the authority under test shows on its own port, and the root that its clients trust, where they are missing.
set -eu
folder=$(dirname "$0")/../../../.cache/test-acme
if [ ! -s "$folder/server.pem" ]; then
    mkdir -p "$folder"
    fresh=$(mktemp -d "$folder/.fresh.XXXXXX")
    new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    # shellcheck disable=SC2086
    openssl req -x509 $new -days 3650 -subj "/CN=Root of the tests" -keyout "$fresh/ca.key" -out "$fresh/ca.pem" 2>/dev/null
    # shellcheck disable=SC2086
    openssl req $new -subj "/CN=localhost" -keyout "$fresh/server.key" -out "$fresh/server.csr" 2>/dev/null
    echo "subjectAltName=DNS:localhost" > "$fresh/names"
    openssl x509 -req -in "$fresh/server.csr" -CA "$fresh/ca.pem" -CAkey "$fresh/ca.key" -set_serial 1 -days 3650 \
        -extfile "$fresh/names" -out "$fresh/server.pem" 2>/dev/null
    mv "$fresh/ca.pem" "$fresh/server.key" "$folder/"
    mv "$fresh/server.pem" "$folder/"
    rm -r "$fresh"
fi
echo '{"_meta": {"hostvars": {}}}'

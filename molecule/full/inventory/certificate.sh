#!/bin/sh
# Makes the certificate that the inventory names, where it is missing: a key is nothing to keep in a repository.
set -eu
folder=$(dirname "$0")/../../../.cache/test-tls
if [ ! -s "$folder/wiki.key" ]; then
    mkdir -p "$folder"
    fresh=$(mktemp -d "$folder/.fresh.XXXXXX")
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
        -subj "/CN=wiki.test" -addext "subjectAltName=DNS:wiki.test" \
        -keyout "$fresh/wiki.key" -out "$fresh/wiki.crt" 2>/dev/null
    mv "$fresh/wiki.crt" "$fresh/wiki.key" "$folder/"
    rmdir "$fresh"
fi
echo '{}'

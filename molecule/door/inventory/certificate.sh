#!/bin/sh
# Makes an authority of the tests (a root and an intermediate) and the certificate that the inventory names, where
# they are missing or old: a key is nothing to keep in a repository.
set -eu
folder=$(dirname "$0")/../../../.cache/test-authority
month=2592000 # in seconds: a certificate never ends while a test runs
if ! openssl x509 -in "$folder/site.crt" -noout -checkend $month >/dev/null 2>&1 ||
    ! openssl x509 -in "$folder/site.crt" -noout -checkhost closed.test | grep -q "does match"; then
    mkdir -p "$folder"
    fresh=$(mktemp -d "$folder/.fresh.XXXXXX")
    key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    authority="basicConstraints=critical,CA:TRUE"
    signs="keyUsage=critical,keyCertSign,cRLSign"
    {
        # shellcheck disable=SC2086 # options, not one word
        openssl req -x509 $key -days 3650 -subj "/O=asgi.host tests/CN=Root of the tests" \
            -addext "$signs" -keyout "$fresh/root.key" -out "$fresh/root.crt"
        # shellcheck disable=SC2086
        openssl req $key -subj "/O=asgi.host tests/CN=Intermediate of the tests" \
            -keyout "$fresh/intermediate.key" -out "$fresh/intermediate.csr"
        printf '%s\n' "$authority,pathlen:0" "$signs" subjectKeyIdentifier=hash authorityKeyIdentifier=keyid |
            openssl x509 -req -in "$fresh/intermediate.csr" -CA "$fresh/root.crt" -CAkey "$fresh/root.key" \
                -set_serial "0x$(openssl rand -hex 16)" -days 3650 -extfile /dev/stdin -out "$fresh/intermediate.crt"
        # shellcheck disable=SC2086
        openssl req $key -subj "/CN=probe.test" -keyout "$fresh/site.key" -out "$fresh/site.csr"
        # As long as those of public authorities live.
        printf '%s\n' "subjectAltName=DNS:probe.test,DNS:www.probe.test,DNS:shop.test,DNS:narrow.test,DNS:closed.test" \
            basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature extendedKeyUsage=serverAuth \
            subjectKeyIdentifier=hash authorityKeyIdentifier=keyid |
            openssl x509 -req -in "$fresh/site.csr" -CA "$fresh/intermediate.crt" -CAkey "$fresh/intermediate.key" \
                -set_serial "0x$(openssl rand -hex 16)" -days 90 -extfile /dev/stdin -out "$fresh/leaf.crt"
    } 2>/dev/null
    cat "$fresh/leaf.crt" "$fresh/intermediate.crt" >"$fresh/site.crt"
    mv "$fresh/root.crt" "$fresh/site.key" "$folder/"
    # Last, for it says that all the others are there.
    mv "$fresh/site.crt" "$folder/"
    rm -r "$fresh"
fi
echo '{"_meta": {"hostvars": {}}}'

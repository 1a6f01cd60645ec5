# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a client may forge.

The addresses are of a documentation range (RFC 5737) and the names of no zone (RFC 2606). Each value but a few is there once,
so that what the app saw says which header it came by.
"""

from __future__ import annotations

from .model import Headers

MARKS = ("203.0.113.", "forged")
FORGED: Headers = (
    ("X-Forwarded-For", "203.0.113.61"),
    ("X-Forwarded-For", "203.0.113.62, 127.0.0.1"),
    ("X_Forwarded_For", "203.0.113.63"),
    ("X-Real-IP", "203.0.113.64"),
    ("X_Real_IP", "203.0.113.65"),
    ("Forwarded", "for=203.0.113.66;proto=http;host=forged-forwarded.invalid"),
    ("X-Forwarded", "for=203.0.113.67"),
    ("Forwarded-For", "203.0.113.68"),
    ("Client-IP", "203.0.113.69"),
    ("X-Client-IP", "203.0.113.70"),
    ("X-Cluster-Client-IP", "203.0.113.71"),
    ("True-Client-IP", "203.0.113.72"),
    ("CF-Connecting-IP", "203.0.113.73"),
    ("Fastly-Client-IP", "203.0.113.74"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Protocol", "http"),
    ("X-Forwarded-Scheme", "http"),
    ("X-Url-Scheme", "http"),
    ("X-Forwarded-Ssl", "off"),
    ("Front-End-Https", "off"),
    ("X-Forwarded-Host", "forged-host.invalid"),
    ("X-Forwarded-Server", "forged-server.invalid"),
    ("X-Forwarded-Port", "8080"),
    ("X-Forwarded-Prefix", "/forged-prefix"),
    ("X-Forwarded-User", "forged-forwarded-user"),
    ("Remote-User", "forged-remote-user"),
    ("X-Remote-User", "forged-x-remote-user"),
    # Of each kind of proxy one, and a name that only the rule of its family knows.
    ("X-Auth-Request-Email", "forged-auth-request"),
    ("X-authentik-username", "forged-authentik"),
    ("Tailscale-User-Login", "forged-tailscale"),
    ("Cf-Access-Authenticated-User-Email", "forged-cf-access"),
    ("X-Goog-Authenticated-User-Email", "forged-goog"),
    ("X-MS-CLIENT-PRINCIPAL-NAME", "forged-ms-client"),
    ("X-Amzn-Oidc-Identity", "forged-amzn"),
    ("X-Forwarded-Client-Cert", "Subject=forged-client-cert"),
    ("X-SSL-Client-Verify", "SUCCESS-forged"),
    ("SSL-Client-Subject-DN", "CN=forged-subject"),
    ("Remote-Self-Test", "forged-family"),
    ("Proxy", "http://203.0.113.75"),
    ("X-Original-URL", "/forged-original"),
    ("X-Rewrite-URL", "/forged-rewrite"),
)
# A proxy that took this word would drop the headers by which nginx tells the truth.
HOP_BY_HOP = ("Connection", "close, X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, X-Forwarded-Host")
FORGED_PORT = "8443"
# Where a load balancer that speaks the PROXY protocol may claim that its client is.
FORGED_PROXIED = {4: "203.0.113.76", 6: "2001:db8::76"}

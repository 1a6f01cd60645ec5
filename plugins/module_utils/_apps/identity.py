# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Headers by which proxies say who somebody is, how a request came, or what it asked for: no client's word.

nginx drops a header only by its whole name, so its list holds the names that published proxies use. The worker drops
whole families, whatever the rest of the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .checks import Check, Say, each
from .reading import as_text, matches, show
from .web_values import HEADER, NGINX_VARIABLE

# Lower case, as a worker sees names.
FAMILIES = (
    "cf-access-",
    "cf-client-cert-",
    "client-cert",
    "iv-",
    "mellon-",
    "oam-",
    "oidc-",
    "remote-",
    "shib-",
    "sm-",
    "ssl-",
    "tailscale-",
    "teleport-",
    "x-amzn-mtls-",
    "x-amzn-oidc-",
    "x-appengine-",
    "x-apigateway-",
    "x-arr-clientcert",
    "x-auth-request-",
    "x-auth-user",
    "x-authenticated-",
    "x-authentik-",
    "x-client-cert",
    "x-client-dn",
    "x-client-verify",
    "x-consumer-",
    "x-credential-",
    "x-endpoint-api-",
    "x-envoy-",
    "x-forwarded-",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-pomerium-",
    "x-proxy-",
    "x-remote-",
    "x-shib-",
    "x-ssl-",
    "x-teleport-",
    "x-token-subject",
    "x-token-user-",
    "x-vouch-",
    "x-webauth-",
)
# Whole names, by who sets them.
NAMES = (
    # Who the client is, and how it came: RFC 7239, CDNs, IIS.
    *("Forwarded", "X-Forwarded", "Forwarded-For", "Client-IP", "X-Client-IP", "X-Cluster-Client-IP"),
    *("True-Client-IP", "CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Pseudo-IPv4", "Fastly-Client-IP"),
    *(
        "Fly-Client-IP",
        "X-Azure-ClientIP",
        "X-Azure-SocketIP",
        "X-Original-Forwarded-For",
        "X-Originating-IP",
    ),
    *(
        "X-Forwarded-Server",
        "X-Forwarded-Protocol",
        "X-Forwarded-Ssl",
        "X-Forwarded-Scheme",
        "X-Forwarded-By",
    ),
    *(
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded-Path",
        "X-Forwarded-Prefix",
        "X-Forwarded-Proto-Version",
    ),
    *("X-Url-Scheme", "X-Scheme", "Front-End-Https", "X-Original-URL", "X-Original-URI", "X-Rewrite-URL"),
    *("X-Original-Host", "X-Original-Method", "X-Original-Proto", "X-Host", "Proxy"),
    # CGI, Authelia, Caddy, Apache.
    *(
        "Remote-User",
        "Remote-Name",
        "Remote-Email",
        "Remote-Groups",
        "Remote-Addr",
        "Remote-Host",
        "Remote-Ident",
    ),
    *(
        "X-Remote-User",
        "X-Remote-Name",
        "X-Remote-Email",
        "X-Remote-Groups",
        "X-Remote-Group",
        "X-Remote-Addr",
    ),
    *("X-Remote-IP", "X-Proxy-User", "X-Proxy-Remote-User"),
    # oauth2-proxy, Traefik, Keycloak's gatekeeper.
    *("X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Access-Token"),
    *("X-Forwarded-Preferred-Username", "X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert"),
    *("X-Forwarded-Tls-Client-Cert-Info", "X-Forwarded-Roles", "X-Forwarded-Name", "X-Forwarded-Id-Token"),
    *("X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-Access-Token"),
    *("X-Auth-Request-Preferred-Username", "X-Auth-Request-Redirect", "X-Auth-Request-Id-Token"),
    *("X-Auth-User", "X-Auth-Username", "X-Auth-Userid", "X-Auth-Email", "X-Auth-Groups", "X-Auth-Roles"),
    *("X-Auth-Subject", "X-Auth-Name"),
    # authentik, Pomerium, Vouch, caddy-security, Grafana's auth proxy, Tailscale, Teleport.
    *(
        "X-authentik-Username",
        "X-authentik-Email",
        "X-authentik-Name",
        "X-authentik-Groups",
        "X-authentik-Uid",
    ),
    *("X-authentik-Jwt", "X-authentik-Entitlements", "X-authentik-Meta-App", "X-authentik-Meta-Outpost"),
    *("X-authentik-Meta-Provider", "X-authentik-Meta-Version", "X-authentik-Meta-Jwks"),
    *("X-Pomerium-Claim-Email", "X-Pomerium-Claim-User", "X-Pomerium-Claim-Groups", "X-Pomerium-Claim-Name"),
    *(
        "X-Pomerium-Claim-Sub",
        "X-Pomerium-Jwt-Assertion",
        "X-Pomerium-Routing-Key",
        "X-Pomerium-Authorization",
    ),
    *("X-Vouch-User", "X-Vouch-Success", "X-Vouch-Idp-Claims-Name", "X-Vouch-Idp-Claims-Email"),
    *("X-Vouch-Idp-Claims-Groups", "X-Vouch-Idp-AccessToken", "X-Vouch-Idp-IdToken", "X-Vouch-Token"),
    *("X-Token-Subject", "X-Token-User-Name", "X-Token-User-Email", "X-Token-User-Roles"),
    *("X-WEBAUTH-USER", "X-WEBAUTH-NAME", "X-WEBAUTH-EMAIL", "X-WEBAUTH-GROUPS", "X-WEBAUTH-ROLE"),
    *("Tailscale-User-Login", "Tailscale-User-Name", "Tailscale-User-Profile-Pic", "Tailscale-Headers-Info"),
    *("Tailscale-App-Capabilities", "Teleport-Jwt-Assertion", "X-Teleport-Username"),
    # Cloudflare, Google, Azure, Amazon.
    *(
        "Cf-Access-Authenticated-User-Email",
        "Cf-Access-Jwt-Assertion",
        "Cf-Access-User",
        "Cf-Access-Client-Id",
    ),
    *("Cf-Client-Cert-Der-Base64", "Cf-Client-Cert-Sha256"),
    *("X-Goog-Authenticated-User-Email", "X-Goog-Authenticated-User-Id", "X-Goog-IAP-JWT-Assertion"),
    *("X-Endpoint-API-UserInfo", "X-Apigateway-API-UserInfo"),
    *(
        "X-AppEngine-User-Email",
        "X-AppEngine-User-Id",
        "X-AppEngine-User-Nickname",
        "X-AppEngine-User-Is-Admin",
    ),
    *("X-AppEngine-User-IP", "X-AppEngine-Inbound-AppId", "X-AppEngine-Cron", "X-AppEngine-QueueName"),
    *("X-MS-CLIENT-PRINCIPAL", "X-MS-CLIENT-PRINCIPAL-NAME", "X-MS-CLIENT-PRINCIPAL-ID"),
    *("X-MS-CLIENT-PRINCIPAL-IDP", "X-MS-TOKEN-AAD-ID-TOKEN", "X-MS-TOKEN-AAD-ACCESS-TOKEN"),
    *("X-MS-TOKEN-AAD-REFRESH-TOKEN", "X-MS-TOKEN-AAD-EXPIRES-ON", "X-MS-TOKEN-GOOGLE-ID-TOKEN"),
    *("X-MS-TOKEN-GOOGLE-ACCESS-TOKEN", "X-MS-TOKEN-FACEBOOK-ACCESS-TOKEN", "X-ARR-ClientCert"),
    *("X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken"),
    *("X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Subject", "X-Amzn-Mtls-Clientcert-Issuer"),
    *(
        "X-Amzn-Mtls-Clientcert-Leaf",
        "X-Amzn-Mtls-Clientcert-Serial-Number",
        "X-Amzn-Mtls-Clientcert-Validity",
    ),
    # Client certificates: RFC 9440, ingress-nginx, HAProxy, Apache, Envoy, Google's load balancer.
    *("Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Client-Cert-Chain", "X-Client-Cert-Present"),
    *(
        "X-Client-Cert-Chain-Verified",
        "X-Client-Cert-Error",
        "X-Client-Cert-Subject-DN",
        "X-Client-Cert-Hash",
    ),
    *("X-Client-Certificate", "X-Client-Verify", "X-Client-DN"),
    *(
        "SSL-Client-Cert",
        "SSL-Client-Verify",
        "SSL-Client-Subject-DN",
        "SSL-Client-Issuer-DN",
        "SSL-Client-S-DN",
    ),
    *("SSL-Client-I-DN", "SSL-Client-Serial", "SSL-Client-Fingerprint", "SSL-Client-S-DN-CN"),
    *("X-SSL-Cert", "X-SSL-Client-Cert", "X-SSL-Client-Verify", "X-SSL-Client-S-DN", "X-SSL-Client-I-DN"),
    *(
        "X-SSL-Client-DN",
        "X-SSL-Client-CN",
        "X-SSL-Client-Serial",
        "X-SSL-Client-Fingerprint",
        "X-SSL-Client-SHA1",
    ),
    *("X-SSL-Client-NotBefore", "X-SSL-Client-NotAfter", "X-SSL-Client-S-DN-CN", "X-SSL-Issuer", "X-SSL"),
    # Kong, APISIX, Envoy, Istio.
    *(
        "X-Consumer-ID",
        "X-Consumer-Custom-ID",
        "X-Consumer-Username",
        "X-Consumer-Groups",
        "X-Credential-Identifier",
    ),
    *("X-Credential-Username", "X-Anonymous-Consumer", "X-Authenticated-Scope", "X-Authenticated-Userid"),
    *(
        "X-Authenticated-User",
        "X-Authenticated-Groups",
        "X-Authenticated-Email",
        "X-Userinfo",
        "X-Access-Token",
    ),
    *("X-ID-Token", "X-JWT-Payload", "X-JWT-Assertion", "X-Envoy-External-Address", "X-Envoy-Internal"),
    *("X-Envoy-Peer-Metadata", "X-Envoy-Peer-Metadata-Id"),
    # mod_auth_openidc, mod_auth_mellon, Shibboleth, SiteMinder, Oracle's and IBM's access managers, Oathkeeper.
    *(
        "OIDC-Claim-Sub",
        "OIDC-Claim-Email",
        "OIDC-Claim-Name",
        "OIDC-Claim-Preferred-Username",
        "OIDC-Claim-Groups",
    ),
    *(
        "OIDC-Access-Token",
        "OIDC-Id-Token",
        "Shib-Identity-Provider",
        "Shib-Session-ID",
        "X-Shib-User",
        "Mellon-Name-Id",
    ),
    *("SM-User", "SM-UserDN", "SMUser", "OAM-Remote-User", "Iv-User", "Iv-Groups", "Iv-Creds", "X-User"),
)
# Set by nginx in every location, and of those the app reads these.
OURS = (
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-real-ip",
)
# By which a verified certificate of the client is told, and nginx's own variable for each.
CERTIFICATE = {
    "X-SSL-Client-Verify": "$ssl_client_verify",
    "X-SSL-Client-S-DN": "$ssl_client_s_dn",
    "X-SSL-Client-I-DN": "$ssl_client_i_dn",
    "X-SSL-Client-Serial": "$ssl_client_serial",
}
# A request needs them as they are.
NEEDED = (
    *("accept", "authorization", "connection", "content-length", "content-type", "cookie", "expect", "host"),
    *("keep-alive", "origin", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
)


def identity_header(say: Say, key: str, value: Any) -> None:
    """The name of a header; or ``name`` and ``value``, a variable of nginx."""
    name, variable = value, None
    if isinstance(value, Mapping):
        if set(value) != {"name", "value"}:
            say(key, "needs name and value and nothing else; give {name: Remote-User, value: $auth_user}")
            return
        name, variable = value["name"], value["value"]
        if not matches(NGINX_VARIABLE, variable):
            say(
                f"{key}.value",
                f"{show(variable)} is not a variable of nginx; give one that auth_request_set in proxy.extra sets, such "
                "as $auth_user",
            )
    if not matches(HEADER, name):
        say(key, f"{show(name)} is not a header's name; give letters, digits and -, such as Remote-User")
    elif name.lower() in (*OURS, *NEEDED):
        say(key, f"{show(name)} is set by nginx, or the request's own; remove it")


identity_headers: Check = each(identity_header, "[Remote-User]")


def identity_rules(say: Say, app: Mapping[Any, Any]) -> None:
    """A bare name is believed from proxies that are trusted, so there must be some; no name is there twice."""
    proxy = app.get("proxy")
    given = proxy.get("identity_headers") if isinstance(proxy, Mapping) else None
    if not isinstance(proxy, Mapping) or not isinstance(given, (list, tuple)):
        return
    if any(isinstance(item, str) for item in given) and not proxy.get("trusted_proxies"):
        say(
            "proxy.trusted_proxies",
            "is empty, and proxy.identity_headers are believed from them alone; give their addresses, or each header's "
            "value: {name: Remote-User, value: $auth_user}",
        )
    tls = app.get("tls")
    seen = (
        {name.lower() for name in CERTIFICATE} if isinstance(tls, Mapping) and tls.get("client_ca") else set()
    )
    for number, item in enumerate(given):
        name = as_text(item.get("name") if isinstance(item, Mapping) else item).lower()
        if name and name in seen:
            say(
                f"proxy.identity_headers[{number}]",
                f"{show(name)} is there twice, or set by tls.client_ca; remove it",
            )
        seen.add(name)


def believed(app: Mapping[str, Any]) -> list[dict[str, str]]:
    """The identity headers of a normalized app: each ``name``, and its ``value`` in nginx, empty for a proxy's word."""
    told = (
        [{"name": name, "value": value} for name, value in CERTIFICATE.items()]
        if app["tls"]["client_ca"]
        else []
    )
    return [*told, *app["proxy"]["identity_headers"]]


def dropped(apps: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names that nginx drops in every location; one that an app believes is nobody else's either."""
    names = {name.lower(): name for name in NAMES}
    for app in apps:
        names.update({item["name"].lower(): item["name"] for item in believed(app)})
    return sorted(names.values(), key=str.lower)


def single_names() -> list[str]:
    """The names that belong to no family, in lower case, as a worker drops them."""
    return sorted({name.lower() for name in NAMES if not name.lower().startswith(FAMILIES)})

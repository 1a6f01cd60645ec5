"""The app for a server that leaves the proxy's headers alone."""

from granian.utils.proxies import wrap_asgi_with_proxy_headers

from parcels.main import app as parcels

app = wrap_asgi_with_proxy_headers(parcels, trusted_hosts="127.0.0.1")

"""The app for granian, which leaves the proxy's headers alone."""

from granian.utils.proxies import wrap_asgi_with_proxy_headers

from work.main import app as work

app = wrap_asgi_with_proxy_headers(work, trusted_hosts="127.0.0.1")

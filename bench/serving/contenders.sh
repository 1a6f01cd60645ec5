#!/usr/bin/env bash
# Runs on the benchmark's host: other ways to run the same app, each in a unit of its own, as its documentation says.
#   uvicorn, gunicorn: plain HTTP on loopback, no nginx; no access log where nothing else is said
#   granian: --uds, behind this nginx with the very site of the collection's app, but for the socket and the names
#   stock: gunicorn (deploy/: nginx to a unix socket) behind an nginx of its own, with Debian's nginx.conf and unit
# The virtualenv is a copy of the collection's own, so all run the same versions.
set -euo pipefail

readonly workers=$1 release=/srv/asgi/shop/current bench=/srv/bench
command -v curl >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends curl >/dev/null
rm -rf $bench
mkdir -p $bench/nginx/conf.d
cp -a "$(readlink -f $release)/venv" "$(readlink -f $release)/src" $bench/
# Its scripts begin with the path of the virtualenv that this one is a copy of.
readonly python=$bench/venv/bin/python

unit() { # name, type, arguments of Python
    cat >"/etc/systemd/system/bench-$1.service" <<END
[Service]
Type=$2
WorkingDirectory=$bench/src
User=www-data
RuntimeDirectory=bench-$1
ExecStart=$python -m $3
KillMode=mixed
TimeoutStopSec=15
END
}

unit uvicorn exec "uvicorn --port 8101 --no-access-log shop.main:app"
unit uvicorn-log exec "uvicorn --port 8102 shop.main:app"
unit uvicorn-workers exec "uvicorn --port 8103 --no-access-log --workers $workers shop.main:app"
unit uvicorn-late exec "uvicorn --port 8105 --no-access-log late:app"
readonly gunicorn="gunicorn --workers $workers --worker-class uvicorn_worker.UvicornWorker"
unit gunicorn notify "$gunicorn --bind 127.0.0.1:8104 shop.main:app"
unit granian exec "granian --interface asgi --workers $workers --no-access-log --uds /run/bench-granian/app.sock shop.behind:app"
unit stock notify "$gunicorn --bind unix:/run/bench-stock/app.sock shop.main:app"

cat >$bench/src/shop/behind.py <<'END'
"""The app as granian's documentation wraps it behind a proxy."""

from granian.utils.proxies import wrap_asgi_with_proxy_headers

from shop.main import app as shop

app = wrap_asgi_with_proxy_headers(shop, trusted_hosts="*")
END
$python -m compileall -q $bench/src

sed -e "s#$release/app.sock#/run/bench-granian/app.sock#; s/shop\.test/granian.test/g; s/asgi_shop/bench_granian/g" \
    -e "s#/asgi-shop\.#/bench-granian.#" /etc/nginx/conf.d/asgi-app-shop.conf >/etc/nginx/conf.d/bench-granian.conf
nginx -t -q
systemctl reload nginx

sed "s#/etc/nginx/\(conf.d\|sites-enabled\)/#$bench/nginx/\1/#; s#/run/nginx.pid#/run/bench-nginx.pid#" \
    /etc/nginx/nginx.conf >/etc/nginx/bench-nginx.conf
sed "s#/run/nginx.pid#/run/bench-nginx.pid#; s#/usr/sbin/nginx #&-c /etc/nginx/bench-nginx.conf #" \
    /lib/systemd/system/nginx.service >/etc/systemd/system/bench-nginx.service
cat >$bench/nginx/conf.d/stock.conf <<END
upstream app_server {
    server unix:/run/bench-stock/app.sock fail_timeout=0;
}
server {
    listen 8443 ssl;
    server_name stock.test;
    ssl_certificate $(sed -n 's/ *ssl_certificate \(.*\);/\1/p' /etc/nginx/conf.d/asgi-app-shop.conf);
    ssl_certificate_key $(sed -n 's/ *ssl_certificate_key \(.*\);/\1/p' /etc/nginx/conf.d/asgi-app-shop.conf);
    keepalive_timeout 5;
    location / {
        proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto \$scheme;
        proxy_set_header Host \$http_host;
        proxy_redirect off;
        proxy_pass http://app_server;
    }
}
END
systemctl daemon-reload
systemctl restart bench-{uvicorn,uvicorn-log,uvicorn-workers,uvicorn-late,gunicorn,granian,stock,nginx}
grep -q granian.test /etc/hosts || echo '127.0.0.1 granian.test stock.test' >>/etc/hosts
sleep 8

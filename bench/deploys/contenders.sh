#!/usr/bin/env bash
# Runs on the benchmark's host: three ways to run the same app that have no releases, each as its documentation says.
#   gunicorn (deploy/, systemd and nginx): Type=notify, ExecReload with HUP, nginx to a unix socket with proxy_buffering off
#   uvicorn (deployment/, process manager of --workers): SIGHUP restarts the workers one after the other
# The virtualenv is a copy of the collection's own, so all run the same versions.
set -euo pipefail

readonly venv=/srv/bench/venv
rm -rf /srv/bench
mkdir -p /srv/bench
cp -a "$(readlink -f /srv/asgi/slow/current)/venv" $venv

unit() { # name, command
    mkdir -p "/srv/bench/$1"
    cp -a "$(readlink -f /srv/asgi/slow/current)/src/." "/srv/bench/$1/"
    rm -rf "/srv/bench/$1/slow/__pycache__"
    cat >"/etc/systemd/system/bench-$1.service" <<END
[Service]
Type=$3
WorkingDirectory=/srv/bench/$1
User=www-data
RuntimeDirectory=bench-$1
ExecStart=$2
ExecReload=/bin/kill -s HUP \$MAINPID
KillMode=mixed
TimeoutStopSec=15
Restart=always
END
    cat >"/etc/nginx/conf.d/bench-$1.conf" <<END
upstream bench_$1 { server unix:/run/bench-$1/app.sock fail_timeout=0; }
server {
    listen 443 ssl;
    server_name $1.test;
    ssl_certificate $(ls /etc/nginx/asgi/tls/slow/*.pem);
    ssl_certificate_key $(ls /etc/nginx/asgi/tls/slow/*.key);
    location / {
        proxy_set_header Host \$http_host;
        proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto \$scheme;
        proxy_redirect off;
        proxy_buffering off;
        proxy_pass http://bench_$1;
    }
}
END
}

gunicorn="$venv/bin/gunicorn --workers 2 --worker-class uvicorn_worker.UvicornWorker slow.main:app"
unit hup "$gunicorn --bind unix:/run/bench-hup/app.sock" notify
unit restart "$gunicorn --bind unix:/run/bench-restart/app.sock" notify
unit uvicorn "$venv/bin/uvicorn --workers 2 --uds /run/bench-uvicorn/app.sock slow.main:app" simple

systemctl daemon-reload
nginx -t -q
systemctl reload nginx
systemctl restart bench-hup bench-restart bench-uvicorn
sleep 8

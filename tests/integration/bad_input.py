# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Input that the role must refuse before it changes a thing, and the words that its message must hold.

One table for the unit tests, which ask the function, and for Molecule, which runs the role.
"""

from __future__ import annotations

from typing import Any

Case = tuple[str, Any, tuple[str, ...]]


def app(**keys: Any) -> dict[str, Any]:
    """A valid app with these keys on top; None takes a key out."""
    full = {
        "name": "shop",
        "app": "shop.main:app",
        "source": {"path": "../shop"},
        "domains": ["shop.example.com"],
    }
    return {key: value for key, value in (full | keys).items() if value is not None}


def _one(case: str, words: tuple[str, ...], **keys: Any) -> Case:
    return case, [app(**keys)], ("asgi_host_apps[0]", *words)


def _domain(case: str, domain: Any, *words: str) -> Case:
    return _one(f"domain {case}", ("domains[0]", *words), domains=[domain])


NAMED = "registry.example.com/shop:1.4"
LOGIN = {"username": "deploy", "password": "sesame"}


def _image(case: str, image: Any, *words: str, **keys: Any) -> Case:
    return _one(f"image {case}", words, **{"app": None, "source": {"image": image}, **keys})


CASES: list[Case] = [
    ("apps is a mapping", {"shop": app()}, ("asgi_host_apps: a mapping is not a list",)),
    ("apps is a string", "shop", ("asgi_host_apps: 'shop' is not a list",)),
    ("app is a string", ["shop"], ("asgi_host_apps[0]: 'shop' is not a mapping",)),
    _one("unknown key", ("domians: no such key", "did you mean domains?"), domians=["shop.example.com"]),
    _one("key in full", ("enviroment: no such key; did you mean env?",), enviroment={"A": "1"}),
    _one("unknown key of proxy", ("proxy.body_limt", "did you mean body_limit?"), proxy={"body_limt": "1m"}),
    ("name missing", [{"app": "a:b", "source": {"path": "x"}}], ("asgi_host_apps[0]: name: is missing",)),
    _one(
        "marked value",
        ("env.KEY: is still marked with CHANGE_ME; give the value",),
        env={"KEY": "CHANGE_ME: a key"},
    ),
    _one(
        "marked health path", ("health.path: is still marked with CHANGE_ME",), health={"path": "CHANGE_ME"}
    ),
    _one("name upper case", ("name: 'Shop' is not a name", "lower-case"), name="Shop"),
    _one("name with slash", ("name: '../etc' is not a name",), name="../etc"),
    _one("name with line break", ("name:", "is not a name"), name="shop\n"),
    _one("name too long", ("name:", "1 to 31"), name="s" * 32),
    _one("name starts with a digit", ("name: '1shop'", "a letter first"), name="1shop"),
    _one("name is a number", ("name: 7 is not a name",), name=7),
    (
        "names twice",
        [app(), app(domains=["other.example.com"])],
        ("asgi_host_apps[1] (shop): name: 'shop' is the name of two apps; rename one",),
    ),
    _one("app missing", ("app: is missing", "shop.main:app"), app=None),
    _one(
        "import string without colon",
        ("app: 'shop.main' names no attribute", "shop.main:app"),
        app="shop.main",
    ),
    _one("import string is a file", ("app:", "is a file", "dots"), app="shop/main.py:app"),
    _one("import string with semicolon", ("app:", "right of the colon"), app="shop.main:app;id"),
    _one("import string with line break", ("app:", "right of the colon"), app="shop.main:app\nimport os"),
    _one("import string with space", ("app:", "right of the colon"), app="shop.main: app"),
    _one("import string with a dash", ("app:", "left of the colon", "module's name"), app="my-shop.main:app"),
    _one("import string that runs code", ("app:", "plain values"), app='shop.main:make(__import__("os"))'),
    _one("import string open call", ("app:", "right of the colon"), app='shop.main:make("x"'),
    _one("factory of a call", ("factory:", "factory: true"), app='shop.main:make("x")', factory=True),
    _one("source missing", ("source: is missing", "path, package, git, archive or image"), source=None),
    _one("source is a string", ("source: '../shop' is not a mapping", "{path: ../shop}"), source="../shop"),
    _one(
        "two sources", ("source: has path and package", "exactly one"), source={"path": "x", "package": "y"}
    ),
    _one("source unknown", ("source.pth: no such key; did you mean path?",), source={"pth": "x"}),
    _one(
        "package is an option",
        ("source.package:", "option of pip"),
        source={"package": "--index-url=http://x"},
    ),
    _one("package list empty", ("source.package:", "list is empty"), source={"package": []}),
    _one(
        "requirements file outside the source",
        ("source.requirements:", "leads out of the source"),
        source={"path": "x", "requirements": "../secret.txt"},
    ),
    _one(
        "pattern is empty",
        ("source.exclude[0]: '/' matches nothing",),
        source={"path": "x", "exclude": ["/"]},
    ),
    _one(
        "pattern leads out",
        ("source.include[0]:", "leads out of the source"),
        source={"path": "x", "include": ["../dist/"]},
    ),
    _one(
        "pattern is a comment",
        ("source.exclude[0]:", "is a comment"),
        source={"path": "x", "exclude": ["# docs"]},
    ),
    _one(
        "patterns of an archive",
        ("source.include: is for source.path; remove it",),
        source={"archive": {"path": "x.tar"}, "include": ["dist/"]},
    ),
    _one(
        "folder outside the repository",
        ("source.git.folder:", "leads out of the repository"),
        source={"git": {"repo": "https://git.example.com/x.git", "folder": "../x"}},
    ),
    _one("extras is a string", ("source.extras:", "not a list"), source={"path": "x", "extras": "prod"}),
    *(
        _one(f"file {case}", words, files=files)
        for case, files, words in (
            ("list is a mapping", {"path": "a"}, ("files: a mapping is not a list",)),
            ("is a string", ["sesame"], ("files[0]: the value is not a mapping",)),
            ("without a path", [{"content": "x"}], ("files[0].path: is missing",)),
            (
                "outside the source",
                [{"path": "../a", "content": "x"}],
                ("files[0].path:", "leads out of the source"),
            ),
            ("with an absolute path", [{"path": "/etc/a", "content": "x"}], ("files[0].path:", "leads out")),
            ("without content", [{"path": "a"}], ("files[0]: has no content", "content, template and file")),
            (
                "with two contents",
                [{"path": "a", "content": "x", "file": "y"}],
                ("files[0]: has content and file; give exactly one",),
            ),
            (
                "whose content is a mapping",
                [{"path": "a", "content": {"k": "sesame"}}],
                ("files[0].content: the value is not",),
            ),
            ("is a folder", [{"path": "a/", "content": "x"}], ("files[0].path: 'a/' is a folder",)),
            (
                "twice",
                [{"path": "a", "content": "x"}, {"path": "./a", "content": "x"}],
                ("files[1].path: './a' is there twice",),
            ),
            (
                "in a file",
                [{"path": "a", "content": "x"}, {"path": "a/b", "content": "x"}],
                ("files[1].path: 'a/b' would be a file and a folder",),
            ),
            (
                "mode is a number",
                [{"path": "a", "content": "x", "mode": 420}],
                ("files[0].mode: 420 is not a mode in quotes",),
            ),
            (
                "mode opens a secret",
                [{"path": "a", "content": "x", "mode": "0644", "secret": True}],
                ("files[0].mode: '0644' does not go", "0640"),
            ),
            (
                "mode hides it",
                [{"path": "a", "content": "x", "mode": "0600"}],
                ("files[0].mode: '0600' does not go", "0644"),
            ),
            (
                "key unknown",
                [{"path": "a", "content": "x", "secert": True}],
                ("files[0].secert: no such key; did you mean secret?",),
            ),
        )
    ),
    _one(
        "file in a shared path",
        ("files[0].path: 'up/a' meets the shared path 'up'",),
        files=[{"path": "up/a", "content": "x"}],
        shared=[{"path": "up"}],
    ),
    _one(
        "secret file in a static folder",
        ("files[0].path: 'static/a' is secret, and nginx serves",),
        files=[{"path": "static/a", "content": "x", "secret": True}],
        static=[{"url": "/static/", "path": "static"}],
    ),
    _one(
        "file in a mount",
        ("files: source.mount is not the role's to write to",),
        source={"mount": "/vagrant/shop"},
        reload=True,
        files=[{"path": "a", "content": "x"}],
    ),
    _one("requirement is an option", ("requirements[0]:", "option of pip"), requirements=["-r other.txt"]),
    _one(
        "requirement with line break", ("requirements[0]:", "not a requirement"), requirements=["httpx\n-r x"]
    ),
    _one("server requirements empty", ("server_requirements:", "list is empty"), server_requirements=[]),
    _domain("with semicolon", "a.example.com;return 200", "holds a character"),
    _domain("with line break", "a.example.com\nserver", "holds a character"),
    _domain("with brace", "a.example.com{", "holds a character"),
    _domain("with space", "a.example.com b.example.com", "holds a character"),
    _domain("with scheme", "https://a.example.com", "holds a scheme", "shop.example.com"),
    _domain("with port", "a.example.com:8443", "holds a port", "443"),
    _domain("with slash", "a.example.com/", "holds a path", "root_path"),
    _domain("upper case", "Shop.example.com", "upper case; give shop.example.com"),
    _domain("with empty label", "shop..example.com", "not a host name"),
    _domain("with star inside", "shop.*.com", "not a host name"),
    _domain("bare star", "*", "not a host name"),
    _domain("address", "192.0.2.7", "is an address"),
    _domain("not ASCII", "bücher.example.com", "xn--bcher-kva.example.com"),
    _domain("number", 443, "443 is not a host name"),
    _one("domains is a string", ("domains: 'a.example.com' is not a list",), domains="a.example.com"),
    _one("domain twice", ("domains[1]:", "there twice"), domains=["a.example.com", "a.example.com"]),
    (
        "domain of two apps",
        [app(), app(name="blog")],
        (
            "asgi_host_apps[1] (blog): domains[0]: 'shop.example.com' is a domain of 'shop' as well",
            "root_path",
        ),
    ),
    (
        "domain of two apps, mount point twice",
        [app(root_path="/x"), app(name="blog", root_path="/x")],
        ("asgi_host_apps[1] (blog): domains[0]:", "a different root_path"),
    ),
    _one("root path relative", ("root_path: 'shop' is not a mount point", "starts with /"), root_path="shop"),
    _one("root path ends with slash", ("root_path: '/shop/' ends with /",), root_path="/shop/"),
    _one("root path with brace", ("root_path:", "not a mount point"), root_path="/shop{"),
    _one("root path with ..", ("root_path:", "not a mount point"), root_path="/../x"),
    _one("workers 0", ("workers: 0 is not a number of workers; give auto, cores",), workers=0),
    _one("workers negative", ("workers: -1",), workers=-1),
    _one("workers many", ("workers: 'many'", "auto, cores"), workers="many"),
    _one("workers true", ("workers: true",), workers=True),
    _one("timeout 0", ("timeout: 0 is out of range", "seconds of 1 or more"), timeout=0),
    _one("graceful timeout negative", ("graceful_timeout: -5",), graceful_timeout=-5),
    _one(
        "graceful timeout below the read timeout",
        (
            "graceful_timeout: 10 s clashes with proxy.read_timeout: 300 s",
            "graceful_timeout to 300 or more",
            "proxy.read_timeout to 10 or less",
        ),
        graceful_timeout=10,
        proxy={"read_timeout": "300"},
    ),
    _one(
        "graceful timeout too long",
        ("graceful_timeout: 10000000000000 is more than a year", "31536000"),
        graceful_timeout=10**13,
    ),
    _one(
        "read timeout too long",
        ("proxy.read_timeout: 40000000 is more than",),
        proxy={"read_timeout": 40_000_000},
    ),
    _one("timeout never", ("timeout: '0' is out of range",), timeout="0"),
    _one("groups a string", ("groups: 'redis' is not a list", "[redis]"), groups="redis"),
    _one("group by number", ("groups[0]: 109 is not the name of a group", "redis"), groups=[109]),
    _one("group of root", ("groups[0]: 'docker'", "makes the app root"), groups=["docker"]),
    _one("group of nginx", ("groups[0]: 'www-data'", "is nginx's"), groups=["www-data"]),
    _one("group twice", ("groups[1]: 'redis' is there twice",), groups=["redis", "redis"]),
    _one("ws_max_size a word", ("ws_max_size: 'large' is not a size", "64m"), ws_max_size="large"),
    _one("ws_max_size without end", ("ws_max_size: 0 is not a size",), ws_max_size=0),
    _one("ws_max_size too large", ("ws_max_size: '2048m'", "1024m at most"), ws_max_size="2048m"),
    _one(
        "ws_max_size of a program",
        ("ws_max_size: is an option of your own server", "--ws-max-size"),
        app=None,
        server="command",
        command="uvicorn --fd 3 shop.main:app",
        ws_max_size="64m",
    ),
    _one("prometheus a word", ("prometheus: 'often'",), prometheus="often"),
    _one(
        "prometheus of a program",
        ("prometheus: true", "PROMETHEUS_MULTIPROC_DIR in command"),
        app=None,
        server="command",
        command="uvicorn --fd 3 shop.main:app",
        prometheus=True,
    ),
    _one(
        "prometheus twice",
        ("env.PROMETHEUS_MULTIPROC_DIR: is set by prometheus: true",),
        prometheus=True,
        env={"PROMETHEUS_MULTIPROC_DIR": "/tmp/metrics"},
    ),
    _one("import string token outside quotes", ("app:", "plain values"), app="shop.main:make({data})"),
    _one("max requests a word", ("max_requests: 'often'",), max_requests="often"),
    _one("keep releases 0", ("keep_releases: 0", "1 or more"), keep_releases=0),
    _one("env is a list", ("env: the value is not a mapping",), env=["A=b"]),
    _one("env name", ("env.'MY-NAME': not a variable's name",), env={"MY-NAME": "x"}),
    _one("env reserved", ("env.HOME: belongs to the unit",), env={"HOME": "/elsewhere"}),
    *(
        _one(f"env {name}", (f"env.{name}:", words), env={name: "1"})
        for name, words in (
            ("WEB_CONCURRENCY", "workers"),
            ("GUNICORN_CMD_ARGS", "graceful_timeout"),
            ("UVICORN_PORT", "server: command"),
            ("FORWARDED_ALLOW_IPS", "proxy.trusted_proxies"),
            ("PYTHONHOME", "python"),
        )
    ),
    _one("secret workers", ("secrets.UVICORN_WORKERS:", "workers"), secrets={"UVICORN_WORKERS": "1"}),
    _one(
        "env port of a command",
        ("env.PORT: is chosen by the role",),
        server="command",
        command="serve",
        env={"PORT": "8000"},
    ),
    _one("env value a list", ("env.HOSTS: a list is no value",), env={"HOSTS": ["a"]}),
    _one("env value empty", ("env.HOST: an empty value",), env={"HOST": None}),
    _one("secret with NUL", ("secrets.KEY:", "NUL"), secrets={"KEY": "a\0b"}),
    _one(
        "secret in env as well", ("secrets.KEY: is in env as well",), env={"KEY": "a"}, secrets={"KEY": "b"}
    ),
    _one(
        "credential name", ("credentials.'../key':", "not a credential's name"), credentials={"../key": "x"}
    ),
    _one(
        "credential without file",
        ("credentials.key: the mapping has not the one key file",),
        credentials={"key": {}},
    ),
    _one("hook stage", ("hooks.migration: no such key; did you mean migrate?",), hooks={"migration": ["x"]}),
    _one("hook a string", ("hooks.migrate: './m' is not a list",), hooks={"migrate": "./m"}),
    _one(
        "hook without command", ("hooks.build[0].command: is missing",), hooks={"build": [{"creates": "x"}]}
    ),
    _one("hook empty", ("hooks.after[0]: not a command",), hooks={"after": [[]]}),
    _one("health a string", ("health: '/health' is not a mapping", "{path: /health}"), health="/health"),
    _one("health path relative", ("health.path: 'health' does not start with /",), health={"path": "health"}),
    _one("health path with line break", ("health.path:", "line break"), health={"path": "/a\r\nHost: b"}),
    _one("health status", ("health.status: 99", "100 to 599"), health={"status": 99}),
    _one("health timeout", ("health.timeout: 0", "1 to 3600"), health={"timeout": 0}),
    _one("health without a check", ("health: the list is empty",), health=[]),
    _one(
        "static url",
        ("static[0].url: '/static' does not start and end",),
        static=[{"url": "/static", "path": "s"}],
    ),
    _one(
        "static url is the app",
        ("static[0].url: '/' would hide the app",),
        static=[{"url": "/", "path": "s"}],
    ),
    _one(
        "the app's paths are all",
        ("proxy.paths[0]: '/' is the whole app",),
        static=[{"url": "/", "path": "s"}],
        proxy={"paths": ["/"]},
    ),
    _one(
        "static url / twice",
        ("static[1].url: '/' is there twice",),
        static=[{"url": "/", "path": "a"}, {"url": "/", "path": "b"}],
        proxy={"paths": ["/api"]},
    ),
    (
        "static url / is another app's",
        [app(), app(name="api", root_path="/api", static=[{"url": "/", "path": "dist"}])],
        ("asgi_host_apps[1] (api): static[0].url: '/' on 'shop.example.com' is root_path of 'shop' as well",),
    ),
    _one(
        "app's path is a static url",
        ("proxy.paths: '/s/' on 'shop.example.com' is static[0].url as well",),
        static=[{"url": "/s/", "path": "s"}],
        proxy={"paths": ["/s"]},
    ),
    _one(
        "fallback outside",
        ("static[0].fallback: '../index.html' is no file in the folder", "such as index.html"),
        static=[{"url": "/ui/", "path": "dist", "fallback": "../index.html"}],
    ),
    _one(
        "fallback hidden",
        ("static[0].fallback: '.page/index.html' is hidden",),
        static=[{"url": "/ui/", "path": "dist", "fallback": ".page/index.html"}],
    ),
    _one(
        "fallback cached for ever",
        ("static[0].cache: immutable would have browsers keep the fallback page", "/assets/"),
        static=[{"url": "/ui/", "path": "dist", "fallback": "index.html", "cache": "immutable"}],
    ),
    _one(
        "internal folder in a public one",
        ("static[1].path: 'dist/bills' is internal, and everybody is served what lies in 'dist'",),
        static=[
            {"url": "/d/", "path": "dist"},
            {"url": "/b/", "path": "{source}/dist/bills", "internal": True},
        ],
    ),
    _one(
        "private files with a fallback",
        ("static[0].fallback: is given, and internal: true",),
        static=[{"url": "/p/", "path": "p", "fallback": "index.html", "internal": True}],
    ),
    _one(
        "private files at the top",
        ("static[0].url: '/' would be all of the site",),
        static=[{"url": "/", "path": "p", "internal": True}],
        proxy={"paths": ["/api"]},
    ),
    _one(
        "private files maybe",
        ("static[0].internal: 'perhaps' is neither true nor false",),
        static=[{"url": "/p/", "path": "p", "internal": "perhaps"}],
    ),
    _one("build a string", ("build: 'npm ci' is not a mapping", "commands"), build="npm ci"),
    _one(
        "build without commands",
        ("build.packages: is for build.commands, and there are none",),
        build={"packages": ["npm"]},
    ),
    _one(
        "build outside",
        ("build.folder: '../web' leads out of the source",),
        build={"folder": "../web", "commands": ["npm ci"]},
    ),
    _one(
        "build package",
        ("build.packages[0]: 'Node JS' is not the name",),
        build={"packages": ["Node JS"], "commands": ["a"]},
    ),
    _one("build command empty", ("build.commands[0]: not a command",), build={"commands": [""]}),
    _one(
        "build of a package",
        ("build.commands: run in the source, and source.package has none",),
        source={"package": "datasette"},
        build={"commands": ["npm ci"]},
    ),
    _one(
        "build in development mode",
        ("build.commands: make a release, and reload: true",),
        reload=True,
        build={"commands": ["npm ci"]},
    ),
    _image("build", {"name": NAMED}, "build", "Dockerfile", build={"commands": ["npm ci"]}),
    _one(
        "redirects a list",
        ("redirects: a list is not a mapping", "www.example.com"),
        redirects=["www.a.test"],
    ),
    _one(
        "redirect of an own domain",
        ("redirects.shop.example.com: 'shop.example.com' is a domain of 'shop'",),
        redirects={"shop.example.com": "www.example.com"},
    ),
    _one(
        "redirect with a scheme",
        ("redirects.www.example.com: 'https://shop.example.com' holds a scheme",),
        redirects={"www.example.com": "https://shop.example.com"},
    ),
    _one(
        "redirect to a redirect",
        ("redirects.a.test: 'b.test' leads elsewhere itself", "shop.example.com"),
        redirects={"a.test": "b.test", "b.test": "shop.example.com"},
    ),
    _one(
        "redirect of a path to a word",
        ("redirects./old: 'new' is no plain path and no address",),
        redirects={"/old": "new"},
    ),
    _one(
        "redirect without domains",
        ("redirects: lead to a site, and the app has no domains",),
        redirects={"www.example.com": "shop.example.com"},
        domains=[],
    ),
    (
        "redirect in two apps",
        [
            app(redirects={"www.example.com": "shop.example.com"}),
            app(name="b", domains=["b.test"], redirects={"www.example.com": "b.test"}),
        ],
        (
            "asgi_host_apps[1] (b): redirects.www.example.com: 'www.example.com' is a redirect of 'shop' as well",
        ),
    ),
    _one(
        "basic_auth a list",
        ("proxy.basic_auth: the value is not a mapping; give names and passwords",),
        proxy={"basic_auth": ["anna:sesame"]},
    ),
    _one(
        "basic_auth with a colon in a name",
        ("proxy.basic_auth.'an:na': not a name", "such as anna"),
        proxy={"basic_auth": {"an:na": "sesame"}},
    ),
    _one(
        "basic_auth with a mapping",
        ("proxy.basic_auth.anna: the password is no text",),
        proxy={"basic_auth": {"anna": {"password": "sesame"}}},
    ),
    _one(
        "basic_auth with a line break",
        ("proxy.basic_auth.anna: the password holds a control character",),
        proxy={"basic_auth": {"anna": "sesame\n"}},
    ),
    _one(
        "basic_auth with a long password",
        ("proxy.basic_auth.anna: the password has more than 256 bytes",),
        proxy={"basic_auth": {"anna": "s" * 257}},
    ),
    _one(
        "error page of 502",
        ("proxy.error_pages.502: clients get a 503", "give 503"),
        proxy={"error_pages": {502: "files/502.html"}},
    ),
    _one(
        "error page of no error",
        ("proxy.error_pages.200: is no status of an error page",),
        proxy={"error_pages": {200: "files/200.html"}},
    ),
    _one(
        "error page that is none",
        ("proxy.error_pages.404: 'files/404.json' is no page in HTML",),
        proxy={"error_pages": {404: "files/404.json"}},
    ),
    _one(
        "error page outside of the source",
        ("proxy.error_pages.404: '{source}/../404.html' is not a plain path in the source",),
        proxy={"error_pages": {404: "{source}/../404.html"}},
    ),
    _image(
        "error page in the source",
        {"name": NAMED},
        "proxy.error_pages.404: '{source}/404.html' lies in the image",
        proxy={"error_pages": {404: "{source}/404.html"}},
    ),
    _one(
        "header buffers",
        ("proxy.large_client_header_buffers: '32k' is not a number of buffers and their size", "4 32k"),
        proxy={"large_client_header_buffers": "32k"},
    ),
    _one(
        "header buffers without end",
        ("proxy.large_client_header_buffers: '99 9999k' is not", "no more than 1024k"),
        proxy={"large_client_header_buffers": "99 9999k"},
    ),
    _one(
        "keepalive_timeout",
        ("proxy.keepalive_timeout: '65s' is out of range", "0 to 3600"),
        proxy={"keepalive_timeout": "65s"},
    ),
    (
        "keepalive_timeout of one site twice",
        [
            app(proxy={"keepalive_timeout": 5}),
            app(name="api", root_path="/api", proxy={"keepalive_timeout": 6}),
        ],
        ("asgi_host_apps[1] (api): proxy.keepalive_timeout: differs from that of 'shop'",),
    ),
    _one(
        "static path outside",
        ("static[0].path:", "out of the source"),
        static=[{"url": "/s/", "path": "../s"}],
    ),
    _one(
        "static path with a token inside",
        ("static[0].path:", "holds a token that is none here"),
        static=[{"url": "/s/", "path": "assets/{venv}"}],
    ),
    _one(
        "static url too long",
        ("static[0].url:", "more than 1000 bytes"),
        static=[{"url": f"/{'s' * 1000}/", "path": "s"}],
    ),
    _one(
        "stream path is a static url",
        ("proxy.stream_paths[0]: '/s/' on 'shop.example.com' is static[0].url as well",),
        static=[{"url": "/s/", "path": "s"}],
        proxy={"stream_paths": ["/s/"]},
    ),
    (
        "mount point is a static url",
        [
            app(static=[{"url": "/api/", "path": "s"}]),
            app(name="api", root_path="/api"),
        ],
        (
            "asgi_host_apps[1] (api): root_path: '/api/' on 'shop.example.com' is static[0].url of 'shop' as well",
        ),
    ),
    (
        "stream path is a mount point",
        [app(name="api", root_path="/api"), app(proxy={"stream_paths": ["/events", "/api/"]})],
        ("asgi_host_apps[1] (shop): proxy.stream_paths[1]: '/api/' on", "is root_path of 'api' as well"),
    ),
    (
        "apps share a part of their domains",
        [app(domains=["a.test", "b.test"]), app(name="api", root_path="/api", domains=["a.test"])],
        ("asgi_host_apps[1] (api): domains: shares 'a.test' with 'shop', and differs in 'b.test'",),
    ),
    _one(
        "header with a variable", ("proxy.headers.X-Price:", "holds $"), proxy={"headers": {"X-Price": "$5"}}
    ),
    _one(
        "header too long",
        ("proxy.headers.X-Own:", "more than 3900 bytes"),
        proxy={"headers": {"X-Own": "x" * 3901}},
    ),
    _one(
        "header's name too long",
        ("proxy.headers.", "more than 200 bytes"),
        proxy={"headers": {"X" * 201: "x"}},
    ),
    _one("static path missing", ("static[0].path: is missing",), static=[{"url": "/s/"}]),
    _one(
        "static path unknown token", ("static[0].path:", "brace"), static=[{"url": "/s/", "path": "{dat}/s"}]
    ),
    _one("static path semicolon", ("static[0].path:",), static=[{"url": "/s/", "path": "/srv/x;"}]),
    _one("app_dir outside", ("app_dir:", "out of the source"), app_dir="../src"),
    _one(
        "shared outside", ("shared[0].path:", "out of the source"), shared=[{"path": "../up", "data": "up"}]
    ),
    _one("shared data outside", ("shared[0].data:", "data folder"), shared=[{"path": "up", "data": "/etc"}]),
    _one("package name", ("packages[0]:", "Debian package"), packages=["libpq5; reboot"]),
    *(
        _one(f"package that {each} would remove", ("packages[0]:", "Debian package"), packages=[each])
        for each in ("sudo-", "sudo:amd64-", "sudo=1-")
    ),
    _one("python a short number", ("python: 3.1", "quotes"), python=3.1),
    _one("python a word", ("python: 'newest'", "a range"), python="newest"),
    _one("tls mode", ("tls.mode: 'file' is not known; did you mean files?",), tls={"mode": "file"}),
    _one(
        "tls without key",
        ("tls.files.key: is missing",),
        tls={"mode": "files", "files": {"certificate": "c"}},
    ),
    _one(
        "tls files unused",
        ("tls.files: is given, but tls.mode is 'self_signed'",),
        tls={"mode": "self_signed", "files": {"certificate": "c", "key": "k"}},
    ),
    _one("acme without an address", ("tls.acme.email: is missing",), tls={"mode": "acme"}),
    _one("acme address", ("tls.acme.email: 'ops'", "ops@example.com"), tls={"acme": {"email": "ops"}}),
    _one(
        "acme directory",
        ("tls.acme.directory: 'http://x/dir'", "https://"),
        tls={"acme": {"email": "a@b.example", "directory": "http://x/dir"}},
    ),
    _one(
        "acme star",
        ("tls.acme.dns: is missing", "'*.example.com' by DNS alone", "docs/certificates.md"),
        domains=["example.com", "*.example.com"],
        tls={"acme": {"email": "a@b.example"}},
    ),
    _one(
        "acme provider",
        ("tls.acme.dns: 'Cloud Flare'", "cloudflare"),
        tls={"acme": {"email": "a@b.example", "dns": "Cloud Flare"}},
    ),
    _one(
        "acme secrets without provider",
        ("tls.acme.dns_env: is given without tls.acme.dns",),
        tls={"acme": {"email": "a@b.example", "dns_env": {"CF_DNS_API_TOKEN": "x"}}},
    ),
    _one(
        "acme secrets a string",
        ("tls.acme.dns_env: the value is not a mapping",),
        tls={"acme": {"email": "a@b.example", "dns": "exec", "dns_env": "s3cret"}},
    ),
    _one("body limit", ("proxy.body_limit: '10 MB' is not a size", "10m"), proxy={"body_limit": "10 MB"}),
    _one("read timeout", ("proxy.read_timeout: '60s'",), proxy={"read_timeout": "60s"}),
    _one("stream path", ("proxy.stream_paths[0]:", "start with /"), proxy={"stream_paths": ["events"]}),
    _one("trusted proxy", ("proxy.trusted_proxies[0]:", "10.0.0.0/8"), proxy={"trusted_proxies": ["lb"]}),
    _one("trusted range", ("did you mean 10.0.0.0/8?",), proxy={"trusted_proxies": ["10.1.2.3/8"]}),
    _one(
        "browser headers", ("proxy.browser_headers: 'strikt'", "strict"), proxy={"browser_headers": "strikt"}
    ),
    _one("compression", ("proxy.compression: true", "gzip or brotli or none"), proxy={"compression": True}),
    _one("rate", ("proxy.rate_limit: 10 is not a mapping", "requests: 20"), proxy={"rate_limit": 10}),
    _one("rate zero", ("proxy.rate_limit.requests: 0",), proxy={"rate_limit": {"requests": 0}}),
    _one("burst alone", ("proxy.rate_limit.requests: is missing",), proxy={"rate_limit": {"burst": 5}}),
    _one("connections", ("proxy.connection_limit: 'many'",), proxy={"connection_limit": "many"}),
    _one(
        "connections zero",
        ("proxy.connection_limit: 0 is not a limit; give auto, none",),
        proxy={"connection_limit": 0},
    ),
    _one(
        "no TLS and nobody who ends it",
        ("proxy.trusted_proxies: is empty, and tls.mode: none", "[127.0.0.1]"),
        tls={"mode": "none"},
    ),
    _one(
        "HTTP/3 without TLS",
        ("proxy.http3: needs TLS",),
        tls={"mode": "none"},
        proxy={"trusted_proxies": ["10.0.0.1"], "http3": True},
    ),
    _one("maintenance", ("maintenance: 'soon' is neither true nor false",), maintenance="soon"),
    _one(
        "static cache",
        ("static[0].cache: '1h' is not a time", "immutable"),
        static=[{"url": "/s/", "path": "s", "cache": "1h"}],
    ),
    _one(
        "identity without a proxy",
        ("proxy.trusted_proxies: is empty", "identity_headers"),
        proxy={"identity_headers": ["Remote-User"]},
    ),
    _one(
        "identity of nginx's own",
        ("proxy.identity_headers[0]: 'X-Real-IP' is set by nginx",),
        proxy={"identity_headers": ["X-Real-IP"], "trusted_proxies": ["10.0.0.0/8"]},
    ),
    _one(
        "client certificate without authority",
        ("tls.client_ca: is missing",),
        tls={"client_certificate": "optional"},
    ),
    _one("static source", ("static[0].path: '.' is the whole source",), static=[{"url": "/s/", "path": "."}]),
    _one(
        "static data",
        ("static[0].path: '{data}/' is the whole data folder",),
        static=[{"url": "/s/", "path": "{data}/"}],
    ),
    _one("everybody trusted", ("'0.0.0.0/0' is every address",), proxy={"trusted_proxies": ["0.0.0.0/0"]}),
    _one("everybody of IPv6 trusted", ("'::/0' is every address",), proxy={"trusted_proxies": ["::/0"]}),
    _one("header value", ("proxy.headers.X-A:", "line"), proxy={"headers": {"X-A": 'a"; return 200'}}),
    _one("header name", ("proxy.headers.'X A':", "header's name"), proxy={"headers": {"X A": "b"}}),
    _one(
        "writable path relative",
        ("sandbox.writable_paths[0]:", "absolute"),
        sandbox={"writable_paths": ["x"]},
    ),
    _one(
        "unit directive",
        ("sandbox.unit.CPUQota:", "did you mean CPUQuota?"),
        sandbox={"unit": {"CPUQota": "50%"}},
    ),
    _one(
        "unit directive of the role",
        ("sandbox.unit.User: the role writes it, and a release depends on it; take it out",),
        sandbox={"unit": {"User": "root"}},
    ),
    _one(
        "unit directive with a key",
        ("sandbox.unit.MemoryMax: the role writes it; give sandbox.memory_max in its place",),
        sandbox={"unit": {"MemoryMax": "1G"}},
    ),
    _one(
        "unit directive with a wrong value",
        ("sandbox.unit.CPUQuota: 50 is no value that it takes; give a share such as 50%",),
        sandbox={"unit": {"CPUQuota": 50}},
    ),
    _one(
        "unit directive of two lines",
        ("sandbox.unit.Slice:", "a slice such as web.slice"),
        sandbox={"unit": {"Slice": "web.slice\nUser=root"}},
    ),
    _one(
        "unit directives as a list", ("sandbox.unit: a list is not a mapping",), sandbox={"unit": ["Nice=5"]}
    ),
    _one("writable path all", ("sandbox.writable_paths[0]:",), sandbox={"writable_paths": ["/"]}),
    _one("netlink", ("sandbox.netlink: 'often'",), sandbox={"netlink": "often"}),
    _one("memory max", ("sandbox.memory_max: 512", "512M"), sandbox={"memory_max": 512}),
    _one("sandbox network", ("sandbox.network: 'off'", "any or local or none"), sandbox={"network": "off"}),
    _one(
        "sandbox switch",
        ("sandbox.memory_deny_write_execute: 'off'",),
        sandbox={"memory_deny_write_execute": "off"},
    ),
    _one("state", ("state: 'gone' is not known", "present or absent"), state="gone"),
    _one("server", ("server: 'gunicon' is not known; did you mean gunicorn?",), server="gunicon"),
    _one("processes a mapping", ("processes: a mapping is not a list",), processes={"worker": "./work"}),
    _one(
        "process a string", ("processes[0]: './work' is not a mapping", "name: worker"), processes=["./work"]
    ),
    _one("process without a command", ("processes[0].command: is missing",), processes=[{"name": "worker"}]),
    _one(
        "process with a dot",
        ("processes[0].name: 'a.b' is not a name", "such as worker"),
        processes=[{"name": "a.b", "command": "./work"}],
    ),
    _one(
        "processes of one name",
        ("processes[1].name: 'worker' is the name of two processes; rename one",),
        processes=[{"name": "worker", "command": "./work"}, {"name": "worker", "command": "./rest"}],
    ),
    _one(
        "process that never stops",
        ("processes[0].stop_timeout: 0 is out of range",),
        processes=[{"name": "worker", "command": "./work", "stop_timeout": 0}],
    ),
    _one(
        "process that does not run",
        ("processes[0].instances: 0 is out of range",),
        processes=[{"name": "worker", "command": "./work", "instances": 0}],
    ),
    _one("command with gunicorn", ("command: is for server: command",), command=["./run"]),
    _one("image without one", ("server: 'image' needs source.image",), server="image", app=None),
    _image("under another server", {"name": NAMED}, "server: 'uvicorn' does not go with", server="uvicorn"),
    _image("of no kind", {}, "source.image: has none of path, archive and name"),
    _image("of two kinds", {"path": "x", "name": NAMED}, "source.image: has path and name"),
    _image("a name", "shop", "source.image: 'shop' is not a mapping", "{name: …}"),
    _image("unknown key", {"path": "x", "file": "y"}, "source.image.file: no such key"),
    _image("short name", {"name": "shop:1.4"}, "source.image.name:", "registry.example.com/shop:1.4"),
    _image("name with space", {"name": "registry.example.com/shop:1 4"}, "source.image.name:"),
    _image("name without tag", {"name": "registry.example.com/shop"}, "neither a tag nor a digest"),
    _image("digest cut off", {"name": "registry.example.com/shop@sha256:abc"}, "source.image.name:"),
    _image("stage of an archive", {"archive": "x.tar", "target": "web"}, "source.image.target: goes with"),
    _image("login of an archive", {"archive": "x.tar", "auth": LOGIN}, "source.image.auth: goes with"),
    _image(
        "login without password",
        {"name": NAMED, "auth": {"username": "x"}},
        "source.image.auth: not the login",
    ),
    _image("build args a list", {"path": "x", "build_args": ["A=b"]}, "source.image.build_args: the value"),
    _image("build arg's name", {"path": "x", "build_args": {"A B": "b"}}, "not the name of an ARG"),
    _image("Dockerfile outside", {"path": "x", "dockerfile": "../Dockerfile"}, "leads out of the folder"),
    _image(
        "archive's digest", {"archive": "x.tar", "sha256": "abc"}, "source.image.sha256:", "64 hex digits"
    ),
    _image("with app", {"name": NAMED}, "app: the image's own CMD", app="shop.main:app"),
    _image("with python", {"name": NAMED}, "python: the image brings its own", python=">=3.12"),
    _image("with packages", {"name": NAMED}, "packages: the image brings its own", packages=["libpq5"]),
    _image("with shared", {"name": NAMED}, "shared: an image is read-only", shared=[{"path": "x"}]),
    _image("with groups", {"name": NAMED}, "groups: the host's groups", groups=["redis"]),
    _image("with ws_max_size", {"name": NAMED}, "ws_max_size: is an option of the server", ws_max_size="1m"),
    _image("with prometheus", {"name": NAMED}, "prometheus: needs a server of the role's", prometheus=True),
    _image("with max_requests", {"name": NAMED}, "max_requests: is an option of the server", max_requests=9),
    _image("with a build hook", {"name": NAMED}, "hooks.build: an image is built", hooks={"build": ["x"]}),
    _image("command a string", {"name": NAMED}, "command: is a string", "list", command="gunicorn x"),
    _image(
        "folder of the host", {"name": NAMED}, "env.PLACE: {source} is a folder", env={"PLACE": "{source}/x"}
    ),
    _image("hook of the host", {"name": NAMED}, "hooks.after[0]: {venv}", hooks={"after": ["{venv}/bin/x"]}),
    _image(
        "hook's mark outside the data",
        {"name": NAMED},
        "hooks.migrate[0].creates: 'done'",
        hooks={"migrate": [{"command": "x", "creates": "done"}]},
    ),
    _image(
        "static files of the host",
        {"name": NAMED},
        "static[0].path: '/app/static'",
        "WORKDIR",
        static=[{"url": "/s/", "path": "/app/static"}],
    ),
    _one("git without repo", ("source.git.repo", "is missing"), source={"git": {"version": "main"}}),
    _one(
        "git version",
        ("source.git.version: '--upload-pack=x'", "a branch, tag or commit"),
        source={"git": {"repo": "x", "version": "--upload-pack=x"}},
    ),
    _one(
        "download without digest",
        ("source.archive.sha256: is missing", "64 hex digits"),
        source={"archive": {"url": "https://example.com/shop.tar.gz"}},
    ),
    _one(
        "archive digest",
        ("source.archive.sha256: 'abc'", "64 hex digits"),
        source={"archive": {"path": "x.tar.gz", "sha256": "abc"}},
    ),
    _one(
        "archive from two places",
        ("source.archive: needs exactly one of path and url",),
        source={"archive": {"path": "x.tar.gz", "url": "https://example.com/x", "sha256": "0" * 64}},
    ),
    _one("strategy", ("strategy: 'rolling'", "overlap or restart"), strategy="rolling"),
    _one("watch", ("watch: -1", "of seconds"), watch=-1),
    _one("watch errors", ("watch.errors: 101", "of percent"), watch={"errors": 101}),
    _one("warm and restart", ("keep_warm: true keeps two instances",), strategy="restart", keep_warm=True),
    _one(
        "after failure",
        ("hooks.after_failure: 'panic'", "keep or rollback"),
        hooks={"after_failure": "panic"},
    ),
    _one("reload", ("reload: 'on' is neither true nor false",), reload="on"),
    _one(
        "reload with workers",
        ("reload: true runs one process, and workers is 8", "workers or set it to 1", "reload: false"),
        reload=True,
        workers=8,
    ),
    _one(
        "reload with a worker for each core", ("reload:", "workers is 'cores'"), reload=True, workers="cores"
    ),
    _one(
        "reload with a program of one's own",
        ("reload: true is uvicorn with reload, and server is 'command'", "remove server"),
        reload=True,
        server="command",
        command=["./run"],
    ),
    _one(
        "reload of a package",
        ("source.package: does not change while it runs", "path", "mount", "reload: false"),
        reload=True,
        source={"package": "datasette"},
    ),
    _one(
        "reload of a commit",
        ("source.git: does not change while it runs",),
        reload=True,
        source={"git": {"repo": "x"}},
    ),
    _one(
        "member",
        ("source.member: 7 is not the name of a workspace's member",),
        source={"path": "x", "member": 7},
    ),
    _one(
        "member of a package",
        ("source.member: is for source.path and source.git and source.archive and source.mount; remove it",),
        source={"package": "shop==1", "member": "api"},
    ),
    _one(
        "package whose project is not installed",
        ("source.install: is for source.path and source.git and source.archive and source.mount; remove it",),
        source={"package": "shop==1", "install": False},
    ),
    _one(
        "install",
        ("source.install: 'never' is neither true nor false",),
        source={"path": "x", "install": "never"},
    ),
    _one("build_env", ("build_env.CFLAGS: a list",), build_env={"CFLAGS": ["-O2"]}),
    _one("build_env name", ("build_env", "A-B"), build_env={"A-B": "x"}),
    _image("with build_env", {"name": NAMED}, "build_env", "build_args", build_env={"A": "x"}),
    _one("mount without reload", ("source.mount:", "set reload: true"), source={"mount": "/vagrant/shop"}),
    _one(
        "mount relative",
        ("source.mount: '../shop' is not an absolute path",),
        reload=True,
        source={"mount": "../shop"},
    ),
    _one(
        "mount and path",
        ("source: has path and mount", "exactly one"),
        reload=True,
        source={"mount": "/vagrant/shop", "path": "x"},
    ),
    _one(
        "build hook in a mount",
        ("hooks.build:", "build: []"),
        reload=True,
        source={"mount": "/vagrant/shop"},
        hooks={"build": ["make"]},
    ),
    _one(
        "shared path in a mount",
        ("shared:", "{data}"),
        reload=True,
        source={"mount": "/vagrant/shop"},
        shared=[{"path": "uploads"}],
    ),
]

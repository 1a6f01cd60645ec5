"""That every contender does the same work: what is broken by hand is as it was after its next run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from converge_peers import Contender
from ground import Ground, Play, say


@dataclass(frozen=True)
class Parts:
    """What one contender brings for an app, of each kind one."""

    site: str
    source: str
    guarded: str
    """A file whose mode is the contender's to keep."""
    unit: str
    """What prints the name of the service."""


def parts(name: str, *, ours: bool) -> Parts:
    """Those of an app by the collection, or by any of the peers."""
    if ours:
        return Parts(
            f"/etc/nginx/conf.d/asgi-app-{name}.conf",
            f"/srv/asgi/{name}/current/src/shop/main.py",
            "/etc/nginx/asgi/proxy.conf",
            f"echo asgi-{name}@$(basename $(readlink -f /srv/asgi/{name}/current)).service",
        )
    return Parts(
        f"/etc/nginx/conf.d/peer-{name}.conf",
        f"/srv/peer/{name}/src/shop/main.py",
        "/etc/nginx/peer/proxy.conf",
        f"echo peer-{name}.service",
    )


def state(ground: Ground, part: Parts) -> list[str]:
    """Content, mode and owner of the files, and whether the service runs and will after a boot."""
    files = f"{part.site} {part.source} {part.guarded}"
    script = (
        f"for path in {files}; do stat -Lc '%a %U %G %F' $path; sha256sum <$path; done 2>&1; "
        f"unit=$({part.unit}); systemctl is-active $unit; systemctl is-enabled $unit; true"
    )
    return ground.ssh(script).splitlines()


def break_it(ground: Ground, part: Parts) -> None:
    """By hand: the site is gone, a mode and the source are others, the service is stopped."""
    ground.ssh(
        f"rm {part.site}; chmod 0600 {part.guarded}; echo '# by hand' >>{part.source}; systemctl stop $({part.unit})"
    )


def must(good: object, title: str, words: str, play: Play) -> None:
    """Raise RuntimeError with the output of a run that was not as it must be."""
    if not good:
        raise RuntimeError(f"{title} {words}: nothing can be compared\n{play.output[-3000:]}")


def quiet(title: str, contender: Contender, prefix: Sequence[str] = ()) -> Play:
    """A run that must find nothing to change."""
    play = contender.command().run(prefix)
    must(play.good, title, "failed", play)
    must(contender.changed(play.output) == 0, title, "changed what was as wanted", play)
    return play


def check(ground: Ground, contenders: dict[str, Contender]) -> None:
    """Break and repair, for each contender. Raises RuntimeError in words for the person at the terminal."""
    name = ground.names[0]
    for key, contender in contenders.items():
        part = parts(name, ours=key == "ours")
        before = state(ground, part)
        break_it(ground, part)
        broken = state(ground, part)
        play = contender.command().run()
        after = state(ground, part)
        must(play.good, contender.title, "failed to repair what was broken by hand", play)
        must(contender.changed(play.output), contender.title, "says nothing of its repair", play)
        must(broken != before, contender.title, "was not broken", play)
        must(after == before, contender.title, f"left {after} where there was {before}", play)
        say(f"{contender.title} repaired all of it, in {play.seconds:.1f} s")

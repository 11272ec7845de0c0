"""Cloud SQL's proxy: TLS with client certificates on port 3307, in front of a PostgreSQL."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import threading
from pathlib import Path

from compliancectl.sandbox.google.tls import Authority

PORT = 3307
"""Fixed by the Cloud SQL connectors."""
Backend = Path | tuple[str, int]
"""Path of a PostgreSQL unix socket, or host and port."""


class SqlProxy:
    """Listens on an address of its own in 127.0.0.0/8, because the port is not free to choose."""

    def __init__(self, authority: Authority, folder: Path, backend: Backend | None = None) -> None:
        self.backend = backend
        """Where connections are forwarded; None: they are closed."""
        self._socket, self.address = _listen()
        self._context = _context(authority, folder, self.address)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopped = False
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Close the listener and every connection."""
        with self._lock:
            self._stopped = True
            connections = [self._socket, *self._open]
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        while not self._stopped:
            try:
                raw, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            raw.settimeout(10)
            client = self._context.wrap_socket(raw, server_side=True)
            client.settimeout(None)
            backend = self._dial()
        except OSError:
            raw.close()
            return
        with self._lock:
            self._open |= {client, backend}
        _Relay(client, backend).run()
        with self._lock:
            self._open -= {client, backend}

    def _dial(self) -> socket.socket:
        if self.backend is None:
            raise ConnectionRefusedError("no database is connected")
        if isinstance(self.backend, tuple):
            return socket.create_connection(self.backend, timeout=10)
        backend = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        backend.connect(str(self.backend))
        return backend


class _Relay:
    """Copies both ways until one side closes. One thread per connection: a TLS object is not safe in two."""

    def __init__(self, client: ssl.SSLSocket, backend: socket.socket) -> None:
        self.client, self.backend = client, backend

    def run(self) -> None:
        """Copy until the end, then close both."""
        import select

        self.client.setblocking(False)
        self.backend.setblocking(True)
        try:
            while self._once(select.select):
                pass
        except OSError:
            pass
        finally:
            self.client.close()
            self.backend.close()

    def _once(self, select: object) -> bool:
        import select as ready

        if not self.client.pending():
            ready.select([self.client, self.backend], [], [])
        return self._from_client() and self._from_backend()

    def _from_client(self) -> bool:
        try:
            data = self.client.recv(65536)
        except ssl.SSLWantReadError:
            return True
        self.backend.sendall(data)
        return bool(data)

    def _from_backend(self) -> bool:
        import select as ready

        if not ready.select([self.backend], [], [], 0)[0]:
            return True
        data = self.backend.recv(65536)
        self.client.setblocking(True)
        self.client.sendall(data)
        self.client.setblocking(False)
        return bool(data)


def _listen() -> tuple[socket.socket, str]:
    """Take a free address of 127.0.0.0/8 for the fixed port."""
    for _ in range(100):
        address = f"127.{random.randint(1, 250)}.{random.randint(0, 250)}.{random.randint(2, 250)}"
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.bind((address, PORT))
            listener.listen(16)
        except OSError:
            listener.close()
            continue
        return listener, address
    raise OSError("no loopback address has port 3307 free")


def _context(authority: Authority, folder: Path, address: str) -> ssl.SSLContext:
    key, certificate = authority.server(folder, "cloud-sql", (address,), ())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(cadata=authority.certificate_pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    return context

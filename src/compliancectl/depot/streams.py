"""Reading an object over the network: one that ends too early is an error, never just shorter."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from compliancectl.errors import Truncated


class Body:
    """The bytes of an object as they arrive."""

    def __init__(self, stream: Any, name: str, size: int | None, errors: tuple[type[Exception], ...]) -> None:
        """Read `stream`, of which `size` bytes are announced; `errors` are what its library raises meanwhile."""
        self._stream, self._name, self._left, self._errors = stream, name, size, errors

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none at the end.

        Raises:
            Truncated: the connection broke.
        """
        try:
            piece: bytes = self._stream.read(None if size < 0 else size)
        except self._errors as error:
            raise self._broken(str(error)) from error
        if self._left is not None:
            self._left -= len(piece)
            if self._left > 0 and (size < 0 or not piece):
                raise self._broken(f"{self._left:,} bytes did not arrive")
        return piece

    def _broken(self, why: str) -> Truncated:
        return Truncated(f"the copy of {self._name} broke off: {why}", hint="Run it again.")

    def close(self) -> None:
        """Give the connection back."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

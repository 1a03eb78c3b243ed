"""What a service answers to a call: status, headers and an iterator of bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from ipython_assistant.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LARGEST_JSON_BYTES = 64_000_000
OnSent: TypeAlias = "Callable[[int], None]"
OnProgress: TypeAlias = "Callable[[int, int, int, int], None]"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: bytes are read from the network as `chunks` is iterated. Close it, or use it in a `with`.

    Names of headers are in lower case. `close` works from any thread. `read_into`, where there is one, reads what comes
    next into some memory and gives the number of bytes, 0 at the end; once it was called, `chunks` cannot be used.
    """

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]
    close: Callable[[], None]
    read_into: Callable[[memoryview], int] | None = None

    def json(self) -> Any:
        """Read the whole body as a JSON object of at most `LARGEST_JSON_BYTES`, and close. Raises `ServiceError`."""
        body = bytearray()
        with self:
            for chunk in self.chunks:
                body += chunk
                if len(body) > LARGEST_JSON_BYTES:
                    break
        try:
            value = json.loads(body) if len(body) <= LARGEST_JSON_BYTES else None
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ServiceError(
                "The service did not answer with the JSON object that its interface promises.",
                "Check the service's address, and what a proxy does on the way; then run the cell again.",
            )
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

"""Bodies of requests as a server with little memory takes them: of a known length, as they are, few at a time."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from lognet_fpga.runtime.remote.refusal import Refusal

if TYPE_CHECKING:
    from aiohttp import web

AT_WORK = 2  # requests whose bodies are held in memory: one on the device, one on its way
MAX_WAITING = 8  # requests that wait for one of those to end
BODY_S = 30.0  # for a body to come


def require_plain(request: web.BaseRequest) -> None:
    """Raise Refusal for a request whose body is encoded: unpacked it could be a thousand times what was sent."""
    encodings = ",".join(request.headers.getall("Content-Encoding", ())).split(",")
    if any(name.strip().lower() not in ("", "identity") for name in encodings):
        raise Refusal(415, "a body must be sent as it is, without Content-Encoding", {"Accept-Encoding": "identity"})


def body_length(request: web.BaseRequest) -> int:
    """Bytes of the body; raises Refusal for one that does not say, or expects what is not known."""
    if request.headers.get("Expect", "100-continue").lower() != "100-continue":
        raise Refusal(417, "of Expect only 100-continue is known")
    if request.content_length is None:
        raise Refusal(411, "a request must say its length")
    return request.content_length


class Bodies:
    """Places for requests, AT_WORK at a time.  body_s: for each body to come, once it is its turn."""

    def __init__(self, body_s: float = BODY_S) -> None:
        self._body_s = body_s
        self._slots = asyncio.Semaphore(AT_WORK)
        self._waiting = 0

    def place(self) -> Place:
        """One request's, until the block ends that it begins.  Raises Refusal where too many wait for one."""
        return Place(self)

    async def take(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        if self._waiting >= MAX_WAITING:
            raise Refusal(503, "too many requests are waiting", {"Retry-After": "1"})
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        self._slots.release()

    async def read(self, request: web.BaseRequest, length: int) -> bytes:
        """The body, in a place.  Raises Refusal where it does not come."""
        if "Expect" in request.headers and request.version >= (1, 1):
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # of the answer, which has not begun
        try:
            if request.content.is_eof():  # it is here
                return await request.content.readexactly(length)
            async with _timeout(self._body_s):
                return await request.content.readexactly(length)
        except asyncio.TimeoutError:
            raise Refusal(408, "the body did not come in time") from None
        except asyncio.IncompleteReadError:
            raise Refusal(400, "the body is not whole") from None


def _timeout(seconds: float) -> AbstractAsyncContextManager:
    """As of asyncio, which Python 3.10 has not, but aiohttp's own requirements have."""
    if sys.version_info >= (3, 11):
        from asyncio import timeout
    else:
        from async_timeout import timeout
    return timeout(seconds)


class Place:
    """Of a request, in `async with`."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    async def __aenter__(self) -> None:
        await self._bodies.take()

    async def __aexit__(self, *exception: object) -> None:
        self._bodies.leave()

"""Who may connect to a server, how many at a time and for how long.

Clients that have not shown the token yet (strangers) and those that have keep to places of their own, so that no number
of strangers keeps out or ends those.  A stranger is never turned away: where all places are taken it gets that of the
oldest one of the address that has most.  An honest client shows the token with its first bytes and is no stranger by
then.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from lognet_fpga.errors import BoardError
from lognet_fpga.runtime.remote.token_gate import GatedConnection

BACKLOG = 1024  # connections that the kernel holds until their turn
DOZENS, LATELY_S = 24, 1.0  # strangers that went without the token in so many seconds
FAILED_S = 0.1  # to wait where none can be accepted, as when the process is out of descriptors


@dataclass(frozen=True)
class Limits:
    """Connections at a time, in all and of one address; seconds.

    head_s: from the connection to the token, with TLS's handshake.  farewell_s: for what a refused client still sends,
    and for what is being answered when the server ends.  pace_s: from a stranger who takes another one's place to the
    next connection, so that each has some time, and from any to the next while strangers come and go by the dozen, so
    that the time goes into those with the token.
    """

    strangers: int = 64
    strangers_of_one: int = 16
    known: int = 32
    known_of_one: int = 16
    head_s: float = 10.0
    farewell_s: float = 1.0
    pace_s: float = 0.005


class Listener:
    """token: None where clients need none.  make_protocol: as of GatedConnection.  on_refused: gets the
    status that a client is refused with."""

    def __init__(
        self,
        token: str | None,
        make_protocol: Callable[[], asyncio.Protocol],
        *,
        limits: Limits,
        tls: ssl.SSLContext | None = None,
        on_refused: Callable[[int], None] = lambda status: None,
    ) -> None:
        self._token = None if token is None else token.encode()
        self._make_protocol, self._on_refused = make_protocol, on_refused
        self._limits, self._tls = limits, tls
        self._strangers: dict[GatedConnection, _Stay] = {}  # the oldest first
        self._known: set[GatedConnection] = set()
        self._gone: deque[float] = deque(maxlen=DOZENS)  # when strangers went, the last ones
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task] = []

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """Listen at every address of host, and say at which; port 0 takes a free one.  Raises BoardError where none
        can be had."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, _, _, address in dict.fromkeys(found):
                self._listen(family, address)
            if not self._sockets:
                raise OSError(errno.EADDRNOTAVAIL, "no such address here")
        except OSError as error:
            self._close_sockets()
            raise BoardError(
                f"{host}:{port} cannot be served: {error.strerror or error}",
                hint="give an address of this machine (0.0.0.0 for all of them) and a free port (0 for any)",
            ) from error
        self._accepting = [loop.create_task(self._accept(listening)) for listening in self._sockets]
        return self._sockets[0].getsockname()[:2]

    def _listen(self, family: int, address: tuple) -> None:
        try:
            listening = socket.create_server(address, family=family, backlog=BACKLOG)
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):  # IPv6 where there is none
                raise
        else:
            listening.setblocking(False)
            self._sockets.append(listening)

    async def close(self) -> None:
        """Take no more connections, and end those of strangers; what is known is the server's to end."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        self._close_sockets()
        for stranger in list(self._strangers):
            self._drop(stranger)

    def _close_sockets(self) -> None:
        for listening in self._sockets:
            listening.close()
        self._sockets.clear()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                link, address = await loop.sock_accept(listening)
            except OSError:
                await asyncio.sleep(FAILED_S)
                continue
            stranger = GatedConnection(
                origin(address[0]),
                self._token,
                self._make_protocol,
                may_enter=self._may_enter,
                on_refused=self._on_refused,
                on_end=self._forget,
                farewell_s=self._limits.farewell_s,
            )
            crowded = self._make_room(stranger.address) or self._come_and_go()
            self._welcome(stranger, link)
            await asyncio.sleep(self._limits.pace_s if crowded else 0)

    def _come_and_go(self) -> bool:
        """Whether many strangers have gone lately without the token."""
        gone = self._gone
        return len(gone) == DOZENS and asyncio.get_running_loop().time() - gone[0] < LATELY_S

    def _welcome(self, stranger: GatedConnection, link: socket.socket) -> None:
        """Begin a stranger's stay, with TLS's handshake where there is one."""
        loop = asyncio.get_running_loop()
        handshake = {"ssl_handshake_timeout": self._limits.head_s} if self._tls else {}
        connecting = loop.create_task(loop.connect_accepted_socket(lambda: stranger, link, ssl=self._tls, **handshake))
        timer = loop.call_later(self._limits.head_s, self._drop, stranger)
        self._strangers[stranger] = _Stay(timer, connecting)

        def connected(task: asyncio.Task) -> None:
            if task.cancelled() or task.exception():
                link.close()
                self._forget(stranger)

        connecting.add_done_callback(connected)

    def _make_room(self, address: str) -> bool:
        """Room for a stranger from there; whether another one had to go for it."""
        crowd = Counter(stranger.address for stranger in self._strangers)
        if crowd[address] < self._limits.strangers_of_one:
            if len(self._strangers) < self._limits.strangers:
                return False
            address = crowd.most_common(1)[0][0]
        self._drop(next(stranger for stranger in self._strangers if stranger.address == address))
        return True

    def _may_enter(self, client: GatedConnection) -> bool:
        """Whether there is room for one that has shown the token, which then is no stranger any more."""
        of_one = sum(other.address == client.address for other in self._known)
        if len(self._known) >= self._limits.known or of_one >= self._limits.known_of_one:
            return False
        self._strangers.pop(client).timer.cancel()
        self._known.add(client)
        return True

    def _drop(self, stranger: GatedConnection) -> None:
        self._strangers[stranger].connecting.cancel()  # a handshake that goes on
        self._forget(stranger)
        stranger.drop()

    def _forget(self, client: GatedConnection) -> None:
        stay = self._strangers.pop(client, None)
        if stay is not None:
            stay.timer.cancel()
            self._gone.append(asyncio.get_running_loop().time())
        self._known.discard(client)


@dataclass(frozen=True)
class _Stay:
    """Of a stranger: the end of its time, and the task that makes the connection."""

    timer: asyncio.TimerHandle
    connecting: asyncio.Task


def origin(address: str) -> str:
    """What counts as one address: an IPv4 address, or the 64 bits of an IPv6 one that a network has for itself."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((parsed.packed, 64), strict=False))

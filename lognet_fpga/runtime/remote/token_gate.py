"""In front of a server's own protocol: nothing that a client sends gets there before the client has shown the token.

Until then a connection is answered nothing at all: no banner, no 100-continue, no parser's complaint.  Only a whole
request of HTTP/1 with a wrong token or none is told so, by a 401 in the protocol's form.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Callable
from enum import Enum, auto

MAX_HEAD_BYTES = 16 << 10
# Head and body; the challenge belongs to a 401 (RFC 9110).
UNAUTHORIZED = (
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n",
    b'{"error": "the token is wrong or missing: send Authorization: Bearer TOKEN"}',
)
CROWDED = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n",
    b'{"error": "too many connections: ask again in a second"}',
)
_END = b"\r\n\r\n"
_METHOD = re.compile(rb"[A-Z]")
_REQUEST_LINE = re.compile(rb"[A-Z]{1,16} [!-~]+ HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")


class Verdict(Enum):
    """What the beginning of a connection is."""

    INCOMPLETE = auto()
    NOT_HTTP = auto()
    UNAUTHORIZED = auto()
    AUTHORIZED = auto()


def knows_token(authorization: bytes, token: bytes) -> bool:
    """Whether the value of an Authorization header is "Bearer TOKEN"; how long that takes does not tell the token."""
    scheme, _, given = authorization.partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(b" "), token)


def judge(received: bytes, token: bytes | None) -> Verdict:
    """received: a connection's first bytes.  token: None where none is asked for."""
    if received and not _METHOD.match(received):
        return Verdict.NOT_HTTP
    head, end, _ = received.partition(_END)
    if len(head) > MAX_HEAD_BYTES:
        return Verdict.NOT_HTTP
    first, line_end, rest = head.partition(b"\r\n")
    if (line_end or end) and not _REQUEST_LINE.fullmatch(first):
        return Verdict.NOT_HTTP
    if not end:
        return Verdict.INCOMPLETE
    shown = []
    for line in rest.split(b"\r\n") if rest else ():
        field = _FIELD.fullmatch(line)
        if field is None:
            return Verdict.NOT_HTTP
        if field[1].lower() == b"authorization":
            shown.append(field[2])
    if token is None:
        return Verdict.AUTHORIZED
    return Verdict.AUTHORIZED if len(shown) == 1 and knows_token(shown[0], token) else Verdict.UNAUTHORIZED


class GatedConnection(asyncio.Protocol):
    """A connection from address, from its acceptance to its end.

    make_protocol: of the server behind, which from the token on has the connection as if no gate were there.
    may_enter: asked once the token was shown; the answer is 503 where it says no.  on_refused: gets the status of an
    answer from here.  on_end: in the end, once.  farewell_s: for what a client still sends that was refused.
    """

    def __init__(
        self,
        address: str,
        token: bytes | None,
        make_protocol: Callable[[], asyncio.Protocol],
        *,
        may_enter: Callable[[GatedConnection], bool],
        on_refused: Callable[[int], None],
        on_end: Callable[[GatedConnection], None],
        farewell_s: float,
    ) -> None:
        self.address = address
        self._token, self._make_protocol, self._farewell_s = token, make_protocol, farewell_s
        self._may_enter, self._on_refused, self._on_end = may_enter, on_refused, on_end
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._inner: asyncio.Protocol | None = None
        self._dropped = self._answered = False

    def drop(self) -> None:
        """End it at once and without a word."""
        self._dropped = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"{type(transport).__name__} is no stream")
        self._transport = transport
        if self._dropped:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)
        elif self._transport is not None and not self._answered and not self._dropped:
            self._received += data
            self._decide(judge(bytes(self._received), self._token), self._transport)

    def _decide(self, verdict: Verdict, transport: asyncio.Transport) -> None:
        if verdict is Verdict.NOT_HTTP:
            self.drop()
        elif verdict is Verdict.UNAUTHORIZED:
            self._refuse(UNAUTHORIZED, transport)
        elif verdict is Verdict.AUTHORIZED and not self._may_enter(self):
            self._refuse(CROWDED, transport)
        elif verdict is Verdict.AUTHORIZED:
            self._inner = self._make_protocol()
            self._inner.connection_made(transport)
            received, self._received = bytes(self._received), bytearray()
            self._inner.data_received(received)

    def _refuse(self, answer: tuple[bytes, bytes], transport: asyncio.Transport) -> None:
        """Answer and close, but not before the client had time to send its body and read: closing on unread data
        would take the answer back."""
        head, body = answer
        about = b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        asked_for_head = self._received.startswith(b"HEAD ")
        self._answered, self._received = True, bytearray()
        self._on_refused(int(head.split()[1]))
        transport.write(head + about + (b"" if asked_for_head else body))
        if transport.can_write_eof():
            transport.write_eof()
        asyncio.get_running_loop().call_later(self._farewell_s, transport.close)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        if self._inner is not None:
            self._inner.connection_lost(error)
        self._on_end(self)

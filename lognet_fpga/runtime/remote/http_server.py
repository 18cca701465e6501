"""aiohttp's HTTP server, quiet, and with answers of ours where it cannot read a request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web


class HttpServer(web.Server):
    """handler: of requests.  refuse: the answer to what is no HTTP, of a status.  keepalive_timeout, lingering_time: as
    of aiohttp, seconds."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        refuse: Callable[[int], web.StreamResponse],
        *,
        keepalive_timeout: float,
        lingering_time: float,
    ) -> None:
        super().__init__(handler)
        self.refuse = refuse
        self._logger = _quiet()
        self._times = {"keepalive_timeout": keepalive_timeout, "lingering_time": lingering_time}

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,
            logger=self._logger,
            auto_decompress=False,  # what is encoded is refused: it could be a thousand times its size
            **self._times,
        )


class _Connection(web.RequestHandler):
    def __init__(self, server: HttpServer, **options) -> None:
        super().__init__(server, **options)
        self._refuse_status = server.refuse

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        return self._refuse_status(status)


def _quiet() -> logging.Logger:
    """What aiohttp has to say of bad requests, with tracebacks, goes nowhere: clients could fill a disk with it."""
    logger = logging.getLogger("lognet_fpga.serve")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger

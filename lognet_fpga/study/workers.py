"""The workers of a Dask scheduler, which judge models on other machines."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from lognet_fpga.errors import MissingToolError, ToolError, UsageError

_CONNECT_S = 15
_AHEAD = 2  # submissions a worker thread, so that none waits for the next


class WorkerPool:
    """A connection to the scheduler at `address`, such as tcp://host:8786; a context manager.

    The workers need this package with its extra [host].  Raises MissingToolError without Dask, UsageError where no
    scheduler answers or it has no workers.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise MissingToolError(
                "Dask is not installed; --dask needs it", hint="pip install 'lognet-fpga[dask]'"
            ) from error
        try:
            self._client = Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:  # a TimeoutError is an OSError too
            raise UsageError(
                f"no Dask scheduler answers at {address}: {' '.join(str(error).split())[:200]}",
                hint="start one by `dask scheduler`, and `dask worker ADDRESS` on each machine",
            ) from error
        threads = sum(self._client.nthreads().values())
        if not threads:
            self._client.close()
            raise UsageError(
                f"the Dask scheduler at {address} has no workers", hint=f"start some: dask worker {address}"
            )
        self.window = _AHEAD * threads

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def share(self, value: object) -> Any:
        """value, sent to every worker; to be handed to submit.  It stays there as long as what is returned is kept."""
        return self._client.scatter([value], broadcast=True, hash=False)[0]

    def submit(self, function: Callable[..., Any], *arguments: object) -> Callable[[], Any]:
        """A function that waits for function(*arguments), done by a worker.  It raises ToolError where that fails."""
        future = self._client.submit(function, *arguments)

        def result() -> Any:
            try:
                return future.result()
            except Exception as error:  # whatever the worker raised, Dask raises here
                raise ToolError(
                    f"a Dask worker failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}",
                    hint="the workers need the same version of lognet-fpga[host] as this machine",
                ) from error

        return result

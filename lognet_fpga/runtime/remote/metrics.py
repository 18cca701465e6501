"""What a server did and what it draws, in Prometheus' text form, by prometheus_client."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from lognet_fpga.errors import LogNetError
from lognet_fpga.runtime.power import Meter

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """bundle, digest, device: labels of lognet_bundle_info.  meter: a power sensor, looked at when the metrics are
    asked for; None without."""

    def __init__(self, bundle: str, digest: str, device: str, meter: Meter | None) -> None:
        self._meter = meter
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "lognet_requests", "Requests, by the status that they were answered with", ["code"], registry=registry
        )
        self._frames = Counter("lognet_frames", "Frames that the FPGA ran", registry=registry)
        self._request_s = Histogram(
            "lognet_request_seconds",
            "A request for inference, from its head to its answer",
            buckets=_SECONDS,
            registry=registry,
        )
        self._device_s = Histogram(
            "lognet_device_seconds", "What of it was on the device", buckets=_SECONDS, registry=registry
        )
        self._watts = Gauge("lognet_power_watts", meter.name, registry=registry) if meter is not None else None
        Info("lognet_bundle", "What is served", registry=registry).info(
            {"bundle": bundle, "digest": digest, "device": device}
        )

        self._of_status: dict[int, Counter] = {}  # for labels() takes its time

    def answered(self, status: int) -> None:
        if status not in self._of_status:
            self._of_status[status] = self._requests.labels(str(status))
        self._of_status[status].inc()

    def inferred(self, frames: int, request_s: float, device_s: float) -> None:
        self._frames.inc(frames)
        self._request_s.observe(request_s)
        self._device_s.observe(device_s)

    def text(self) -> bytes:
        """May take as long as the sensor does.  Of one that fails or has nothing new the last value stays."""
        if self._meter is not None and self._watts is not None:
            try:
                watts = self._meter.samples()
            except LogNetError:
                watts = []
            if watts:
                self._watts.set(sum(watts) / len(watts))
        return generate_latest(self._registry)

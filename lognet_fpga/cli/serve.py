"""lognet-serve: the device beside this program, for lognet-stream on another machine and for clients of the Open
Inference Protocol."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import signal
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from lognet_fpga.cli import options, runner
from lognet_fpga.cli.devices import add_device_options, device_of, devices_of
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.errors import UsageError
from lognet_fpga.report import Report, Section

if TYPE_CHECKING:
    import ssl

    from lognet_fpga.progress import Stage
    from lognet_fpga.runtime.remote.server import DeviceServer

PROGRAM = "lognet-serve"
MAX_PORT = 65535
EXAMPLES = """\
examples:
  lognet-serve model.lognet --device pynq --host 0.0.0.0
  lognet-serve model.lognet --token-file token.txt --certificate cert.pem --key key.pem
  lognet-serve model.lognet --device pynq --host 0.0.0.0 --grpc-port 8001 --power auto
then, on another machine:
  LOGNET_TOKEN=... lognet-stream model.lognet --frames photos/ --device http://pynq:8421
  curl -H "Authorization: Bearer $LOGNET_TOKEN" http://pynq:8421/v2/models/model
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Serve a device over the network by the Open Inference Protocol v2 (KServe, Triton): to\n"
        "lognet-stream on another machine, which runs the rest of the model itself, and to any other\n"
        "client, for which the rest runs here. Clients need a token. Ctrl-C ends it.",
        EXAMPLES,
    )
    this.add_argument("bundle", type=Path, metavar="BUNDLE", help="NAME.lognet or NAME.lognet.zip")
    add_device_options(this, remote=False)
    network = this.add_argument_group("network")
    network.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on; 0.0.0.0 for all (default: %(default)s)",
    )
    network.add_argument(
        "--port", type=options.number, default=8421, metavar="N", help="0 for any free one (default: %(default)d)"
    )
    access = this.add_argument_group("access")
    access.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the token that clients need (default: LOGNET_TOKEN, else a new one, which is printed)",
    )
    access.add_argument("--no-token", action="store_true", help="serve anyone on this machine; not with another --host")
    network.add_argument(
        "--grpc-port", type=options.number, metavar="N", help="also serve gRPC on this port; 0 for any free one"
    )
    this.add_argument(
        "--power",
        default="none",
        metavar="SENSOR",
        help="report its watts at /metrics; sensors as for lognet-stream (default: %(default)s)",
    )
    access.add_argument("--certificate", type=Path, metavar="FILE", help="PEM file to serve https with")
    access.add_argument("--key", type=Path, metavar="FILE", help="PEM file with the certificate's key")
    network.add_argument(
        "--max-megabytes",
        type=options.positive,
        default=16,
        metavar="N",
        help="limit on the frames or pictures of one request, in MB (default: %(default)s)",
    )
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    # Imported here, so that --help and wrong options answer at once.
    from lognet_fpga.bundle import read_bundle
    from lognet_fpga.runtime.power import open_meter
    from lognet_fpga.runtime.remote.protocol import is_loopback, read_token
    from lognet_fpga.runtime.remote.server import DeviceServer, require_loopback, server_tls

    devices_of(arguments)
    if (arguments.certificate is None) != (arguments.key is None):
        raise UsageError("--certificate and --key go together", hint="give both, or none for http")
    for option, port in (("--port", arguments.port), ("--grpc-port", arguments.grpc_port)):
        if port is not None and not (0 <= port <= MAX_PORT and port == int(port)):
            raise UsageError(f"{option} must be 0 to {MAX_PORT}, not {port:g}")
    if arguments.no_token and arguments.token_file:
        raise UsageError("--no-token and --token-file contradict each other", hint="give one of them")
    if arguments.no_token:
        require_loopback(arguments.host)
    token = None if arguments.no_token else read_token(arguments.token_file)
    new_token = token is None and not arguments.no_token
    if new_token:
        token = secrets.token_urlsafe(24)
    tls = server_tls(arguments.certificate, arguments.key) if arguments.certificate else None
    if tls is None and not is_loopback(arguments.host):
        reporter.warning("token and frames go over the network in the clear; --certificate and --key encrypt them")
    with reporter.stage("read bundle") as stage:
        bundle = read_bundle(arguments.bundle)
        stage.note(f"{bundle.name} for {bundle.board_title}, SHA-256 {bundle.digest[:12]}")
    device = device_of(arguments, bundle, reporter)
    meter = open_meter(arguments.power, on_board=arguments.device == ["pynq"])
    with nullcontext() if meter is None else closing(meter), reporter.stage("serve") as stage:
        device.open()
        try:
            stage.note(device.description)
            if new_token:
                stage.note(f"token {token}")
            server = DeviceServer(
                bundle,
                device,
                token,
                max_body_bytes=arguments.max_megabytes << 20,
                meter=meter,
                on_request=lambda counts: stage.update(
                    counts.frames, None, f"{counts.requests:,} requests, {counts.refused:,} refused"
                ),
            )
            asyncio.run(_serve(server, arguments, tls, stage))
        finally:
            device.close()
    counts = server.counts
    line = f"{counts.frames:,} frames in {counts.requests:,} requests, {counts.refused:,} of them refused"
    data = {"frames": counts.frames, "requests": counts.requests, "refused": counts.refused}
    reporter.result(Report(f"{bundle.name} was served", (Section("", (line,)),), data))


async def _serve(server: DeviceServer, arguments: argparse.Namespace, tls: ssl.SSLContext | None, stage: Stage) -> None:
    """Until Ctrl-C or SIGTERM, which are the usual end here."""
    from lognet_fpga.runtime.remote.server import Grpc

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    scheme = "http" if tls is None else "https"
    grpc = None
    if arguments.grpc_port is not None:
        pem = (arguments.certificate.read_bytes(), arguments.key.read_bytes()) if tls is not None else None
        grpc = Grpc(int(arguments.grpc_port), pem, lambda port: stage.note(f"gRPC at {arguments.host}:{port}"))
    await server.serve(
        arguments.host,
        int(arguments.port),
        stop,
        tls=tls,
        on_ready=lambda host, port: stage.note(f"listening at {scheme}://{host}:{port}"),
        grpc=grpc,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())

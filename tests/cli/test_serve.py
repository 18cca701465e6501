"""lognet-serve and its clients, each in a process of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys

import pytest

from tests.cli.process import ROOT, assert_error
from tests.patience import HANG_S

TOKEN = {"LOGNET_TOKEN": "a-token-for-the-test"}


def start_server(command, demo, require_tool, *arguments: str) -> tuple[subprocess.Popen, str]:
    """lognet-serve and its address."""
    require_tool("aiohttp")
    server = subprocess.Popen(
        [sys.executable, "-m", "lognet_fpga.cli.serve", demo[0], "--port", "0", "--json", *arguments],
        cwd=ROOT,
        env=command.environment(TOKEN),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = ""
    while "listening at" not in line:
        line = server.stderr.readline()
        assert line
    return server, line.split()[-1]


def test_serve_stream_and_self_test_in_processes_of_their_own(command, demo, require_tool):
    """Ctrl-C is the server's usual end."""
    server, url = start_server(command, demo, require_tool)
    done = command("stream", demo[0], "--frames", demo[1], "--device", url, "--json", env=TOKEN)
    data = json.loads(done.stdout)
    assert data["top1"] == 1.0 and data["device"] == "simulated" and data["error"] is None
    assert command("selftest", demo[0], "--device", url, env=TOKEN).returncode == 0
    assert_error(command("stream", demo[0], "--frames", demo[1], "--device", url, env={"LOGNET_TOKEN": "x" * 20}), 13)
    server.send_signal(signal.SIGINT)
    out, err = server.communicate(timeout=HANG_S)
    assert server.returncode == 0 and "Traceback" not in err
    assert json.loads(out) == {"frames": 9 + 1 + 4, "requests": 6, "refused": 1}


def test_without_a_token_on_one_machine(command, demo, require_tool):
    server, url = start_server(command, demo, require_tool, "--no-token")
    done = command("selftest", demo[0], "--device", url, env={"LOGNET_TOKEN": ""})
    assert done.returncode == 0
    server.send_signal(signal.SIGTERM)
    out, err = server.communicate(timeout=HANG_S)
    assert server.returncode == 0 and json.loads(out)["refused"] == 0 and "token" not in err


def test_a_stream_whose_server_dies_ends_with_its_figures(command, demo, require_tool):
    server, url = start_server(command, demo, require_tool)
    client = subprocess.Popen(
        [
            *(sys.executable, "-m", "lognet_fpga.cli.stream", demo[0], "--frames", "synthetic", "--pace", "100"),
            *("--batch", "2", "--device", url, "--json"),
        ],
        cwd=ROOT,
        env=command.environment(TOKEN),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not client.stderr.readline().startswith("stream: "):
        assert client.poll() is None
    server.kill()
    server.communicate(timeout=HANG_S)
    out, err = client.communicate(timeout=HANG_S)
    data = json.loads(out)
    assert client.returncode == data["error"]["exit_code"] == 13 and "Traceback" not in err
    assert data["error"]["kind"] == "BoardError" and "lognet-serve" in data["error"]["message"]
    assert data["frames"] == len(data["predictions"]) > 0 and not data["interrupted"]
    assert "stream: failed" in err and data["error"]["message"].splitlines()[0] in err


def test_serve_says_what_to_do_where_the_port_is_taken(command, demo, require_tool):
    require_tool("aiohttp")
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = command("serve", demo[0], "--port", str(other.getsockname()[1]))
    assert_error(done, 13)
    assert "a port that is free" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"],
        ["--port", "1.5"],
        ["--certificate", "x.pem"],
        ["--certificate", "LICENSE", "--key", "LICENSE"],
        ["--token-file", "missing"],
        ["--device", "http://x"],
        ["--no-token", "--host", "0.0.0.0"],
        ["--no-token", "--token-file", "LICENSE"],
    ],
)
def test_serve_refuses_what_cannot_be(command, demo, arguments):
    assert_error(command("serve", demo[0], *arguments), 2)


def test_a_remote_device_needs_a_token(command, demo):
    done = command("stream", demo[0], "--frames", demo[1], "--device", "http://192.0.2.1:1", env={"LOGNET_TOKEN": ""})
    assert_error(done, 2)
    assert "LOGNET_TOKEN" in done.stderr

"""lognet-serve and its clients, each in a process of its own."""

from __future__ import annotations

import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from lognet_fpga.bundle import write_bundle
from tests import small_bundle
from tests.cli.process import ROOT, assert_error
from tests.patience import HANG_S
from tests.served import make_certificate

TOKEN = {"LOGNET_TOKEN": "a-token-for-the-test"}


@pytest.fixture
def start_server(command, demo, require_tool) -> Iterator[Callable[..., tuple[subprocess.Popen, str]]]:
    """start_server(*options): lognet-serve and its address; notes: gets the lines before.  What still runs when the
    test ends is killed."""
    require_tool("aiohttp")
    servers: list[subprocess.Popen] = []

    def start(*arguments: str, notes: list[str] | None = None) -> tuple[subprocess.Popen, str]:
        server = subprocess.Popen(
            [sys.executable, "-m", "lognet_fpga.cli.serve", demo[0], "--port", "0", "--json", *arguments],
            cwd=ROOT,
            env=command.environment(TOKEN),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        servers.append(server)
        line = ""
        while "listening at" not in line:
            line = server.stderr.readline()
            assert line
            if notes is not None:
                notes.append(line)
        return server, line.split()[-1]

    yield start
    for server in servers:
        if server.poll() is None:
            server.kill()
            server.communicate()


def test_serve_stream_and_self_test_in_processes_of_their_own(start_server, command, demo, require_tool):
    """Ctrl-C is the server's usual end."""
    server, url = start_server()
    done = command("stream", demo[0], "--frames", demo[1], "--device", url, "--json", env=TOKEN)
    data = json.loads(done.stdout)
    assert data["top1"] == 1.0 and data["device"] == "simulated" and data["error"] is None
    assert command("selftest", demo[0], "--device", url, env=TOKEN).returncode == 0
    assert_error(command("stream", demo[0], "--frames", demo[1], "--device", url, env={"LOGNET_TOKEN": "x" * 20}), 13)
    server.send_signal(signal.SIGINT)
    out, err = server.communicate(timeout=HANG_S)
    assert server.returncode == 0 and "Traceback" not in err
    assert json.loads(out) == {"frames": 9 + 1 + 4, "requests": 6, "refused": 1}


def test_without_a_token_on_one_machine(start_server, command, demo, require_tool):
    server, url = start_server("--no-token")
    done = command("selftest", demo[0], "--device", url, env={"LOGNET_TOKEN": ""})
    assert done.returncode == 0
    server.send_signal(signal.SIGTERM)
    out, err = server.communicate(timeout=HANG_S)
    assert server.returncode == 0 and json.loads(out)["refused"] == 0 and "token" not in err


def test_grpc_and_metrics_from_the_command_line(start_server, command, demo, tmp_path, require_tool):
    """With TLS, and a sensor that is a file."""
    for name in ("grpc", "google.protobuf", "tritonclient", "prometheus_client", "openssl"):
        require_tool(name)
    import tritonclient.grpc as triton

    certificate, key = make_certificate(tmp_path)
    (tmp_path / "watts.csv").write_text("watts\n")
    tls = ["--certificate", str(certificate), "--key", str(key)]
    power = ["--power", f"csv:{tmp_path / 'watts.csv'}"]
    notes: list[str] = []
    server, url = start_server("--grpc-port", "0", *power, *tls, notes=notes)
    (port,) = re.findall(r"gRPC at 127\.0\.0\.1:(\d+)", "".join(notes))
    bearer = f"Bearer {TOKEN['LOGNET_TOKEN']}"
    with triton.InferenceServerClient(f"127.0.0.1:{port}", ssl=True, root_certificates=str(certificate)) as client:
        assert client.is_model_ready("small", headers={"authorization": bearer})
        frames = small_bundle.frames(4)
        tensor = triton.InferInput("frames", list(frames.shape), "UINT8")
        tensor.set_data_from_numpy(frames)
        result = client.infer(
            "small", [tensor], outputs=[triton.InferRequestedOutput("predictions")], headers={"authorization": bearer}
        )
        assert result.as_numpy("predictions").tolist() == small_bundle.expected_scores(frames).argmax(axis=1).tolist()
    with (tmp_path / "watts.csv").open("a") as file:
        file.write("2.5\n")
    context = ssl.create_default_context(cafile=certificate)
    request = urllib.request.Request(f"{url}/metrics", headers={"Authorization": bearer})
    with urllib.request.urlopen(request, context=context) as answer:
        text = answer.read().decode()
    assert "lognet_power_watts 2.5\n" in text and "lognet_frames_total 4.0\n" in text
    server.send_signal(signal.SIGINT)
    out, err = server.communicate(timeout=HANG_S)
    assert server.returncode == 0 and json.loads(out) == {"frames": 4, "requests": 3, "refused": 0}


def test_a_stream_whose_server_dies_ends_with_its_figures(start_server, command, demo, require_tool):
    server, url = start_server()
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


def test_a_stream_over_three_boards_of_which_two_die_and_a_fourth_is_not_there(
    start_server, command, demo, tmp_path, require_tool
):
    """All frames, in order, by those that are left; then another bundle's are refused."""
    servers = [start_server() for _ in range(3)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
    (tmp_path / "boards").write_text(f"# three\n{servers[1][1]}\n{servers[2][1]}  # the last\n\n{nobody}\n")
    devices = ["--device", servers[0][1], "--devices", str(tmp_path / "boards")]
    client = subprocess.Popen(
        [
            *(sys.executable, "-m", "lognet_fpga.cli.stream", demo[0], "--frames", "synthetic", "--limit", "600"),
            *("--pace", "100", "--policy", "block", "--batch", "2", *devices, "--json"),
        ],
        cwd=ROOT,
        env=command.environment(TOKEN),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    before = ""
    while not (line := client.stderr.readline()).startswith("stream: "):
        assert client.poll() is None
        before += line
    for server, _ in servers[:2]:
        server.kill()
    out, err = client.communicate(timeout=HANG_S)
    err = before + err
    data = json.loads(out)
    assert client.returncode == 0 and "Traceback" not in err
    assert f"warning: {nobody} is set aside: does not answer" in err
    assert data["frames"] == 600 and [board["name"] for board in data["boards"]] == [*(u for _, u in servers), nobody]
    assert sum(board["frames"] for board in data["boards"]) == 600
    aside = [board["aside"] for board in data["boards"]]
    assert sum(aside[:2]) >= 1 and aside[2:] == [0, 1]  # at that pace one may have all that there is to do
    expected = synthetic_predictions(600)
    assert data["predictions"] == expected
    other = write_bundle({**small_bundle.files(), "more.txt": b"x"}, small_bundle.manifest(), tmp_path / "other").folder
    done = command("stream", other, "--frames", demo[1], *devices, env=TOKEN)
    assert_error(done, 13)
    assert "another bundle" in done.stderr
    for server, _ in servers:
        server.terminate()
        server.communicate(timeout=HANG_S)


def synthetic_predictions(count: int) -> list[int]:
    """As the stream draws its frames, through NumPy alone."""
    pool = np.random.default_rng(0).integers(0, 256, (64, *small_bundle.SHAPE), np.uint8)
    return small_bundle.expected_scores(pool).argmax(axis=1)[np.arange(count) % 64].tolist()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--device", "pynq", "--device", "http://127.0.0.1:1"], "several devices are those of servers"),
        (["--device", "http://127.0.0.1:1", "--device", "http://127.0.0.1:1"], "is given twice"),
        (["--devices", "missing"], "cannot be read"),
        (["--devices", "LICENSE"], "is no address"),
    ],
)
def test_devices_that_cannot_be_together(command, demo, arguments, message):
    done = command("stream", demo[0], "--frames", demo[1], *arguments)
    assert_error(done, 2)
    assert message in done.stderr


def test_serve_says_what_to_do_where_the_port_is_taken(command, demo, require_tool):
    require_tool("aiohttp")
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = command("serve", demo[0], "--port", str(other.getsockname()[1]))
    assert_error(done, 13)
    assert "a free port" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"],
        ["--port", "1.5"],
        ["--certificate", "x.pem"],
        ["--certificate", "LICENSE", "--key", "LICENSE"],
        ["--token-file", "missing"],
        ["--device", "http://x"],
        ["--grpc-port", "-1"],
        ["--power", "nonsense"],
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

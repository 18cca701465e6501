"""The examples of docs/network.md: MJPEG by OpenCV, MQTT with the real paho client, Triton's client."""

from __future__ import annotations

import http.server
import io
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import make_bundle, write_bundle
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.runtime.sources import open_source
from tests import small_bundle
from tests.patience import HANG_S
from tests.served import TOKEN, serving

DOCUMENT = (Path(__file__).parents[2] / "docs" / "network.md").read_text(encoding="utf-8")


def test_mjpeg_over_http(require_tool):
    """As network cameras give it: JPEGs in parts of one answer without end."""
    require_tool("cv2")
    require_tool("PIL")
    from PIL import Image

    colours = [(250, 10, 10), (10, 250, 10), (10, 10, 250)]

    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            for colour in colours * 4:
                buffer = io.BytesIO()
                Image.new("RGB", (48, 32), colour).save(buffer, "JPEG", quality=95)
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(buffer.getvalue())}\r\n\r\n"
                self.wfile.write(head.encode() + buffer.getvalue() + b"\r\n")

        def log_message(self, *text: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"camera:http://127.0.0.1:{server.server_port}/video.mjpg"
        source = open_source(address, (3, 6, 5), Preprocessing(resize=(6,), crop=True), limit=3)
        frames = np.concatenate(list(source.pieces()))
        server.shutdown()
    assert source.live and np.abs(frames - np.array(colours)[:, :, None, None]).max() < 16


@contextmanager
def broker() -> Iterator[tuple[int, list[tuple[str, bytes]], threading.Event]]:
    """Just as much of an MQTT 3.1.1 broker: takes a subscription, gives one message, and keeps what is published.  Its
    port, what came, and an event for it."""
    came: list[tuple[str, bytes]] = []
    published = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link, link.makefile("rb") as stream:
                while (kind := stream.read(1)) and kind[0] >> 4 != 14:  # DISCONNECT
                    body = stream.read(remaining_length(stream))
                    if kind[0] >> 4 == 1:  # CONNECT
                        link.sendall(b"\x20\x02\x00\x00")
                    elif kind[0] >> 4 == 8:  # SUBSCRIBE
                        (length,) = struct.unpack_from(">H", body, 2)
                        topic = body[4 : 4 + length]
                        link.sendall(b"\x90\x03" + body[:2] + b"\x00")
                        message = struct.pack(">H", len(topic)) + topic + picture
                        link.sendall(b"\x30" + encoded_length(len(message)) + message)
                    elif kind[0] >> 4 == 3:  # PUBLISH
                        (length,) = struct.unpack_from(">H", body)
                        came.append((body[2 : 2 + length].decode(), body[2 + length :]))
                        published.set()

        picture = png(small_bundle.frames(1, seed=3)[0])
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], came, published


def remaining_length(stream: io.BufferedReader) -> int:
    length = shift = 0
    while True:
        (byte,) = stream.read(1)
        length |= (byte & 127) << shift
        if byte < 128:
            return length
        shift += 7


def encoded_length(length: int) -> bytes:
    out = b""
    while length > 127:
        out, length = out + bytes([length & 127 | 128]), length >> 7
    return out + bytes([length])


def png(frame: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame.transpose(1, 2, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_mqtt_example(tmp_path, require_tool):
    """Its text as it stands in the document, with the addresses of the test."""
    for name in ("aiohttp", "onnx", "onnxruntime", "PIL", "paho"):
        require_tool(name)
    (example,) = re.findall(r"```python\n# mqtt\n(.*?)```", DOCUMENT, re.DOTALL)
    folder = write_bundle(small_bundle.files(), small_bundle.manifest(), tmp_path).folder
    bundle = make_bundle(small_bundle.files(), small_bundle.manifest())
    with serving(bundle) as served, broker() as (port, came, published):
        for was, becomes in (
            ("model.lognet", str(folder)),
            ("http://board1:8421", served.url),
            ("the token of lognet-serve", TOKEN),
            ("1883", str(port)),
        ):
            assert was in example
            example = example.replace(was, becomes)
        names: dict = {}
        thread = threading.Thread(target=lambda: exec(example, names), daemon=True)
        thread.start()
        assert published.wait(HANG_S)
        names["client"].disconnect()
        thread.join(HANG_S)
        expected = small_bundle.expected_scores(small_bundle.frames(1, seed=3)).argmax()
        assert came == [("camera/class", str(expected).encode())]


def test_the_example_with_triton_s_client(tmp_path, capsys, require_tool):
    for name in ("aiohttp", "onnx", "onnxruntime", "tritonclient"):
        require_tool(name)
    (example,) = re.findall(r"```python\n# triton\n(.*?)```", DOCUMENT, re.DOTALL)
    frames = small_bundle.frames(20)
    np.savez(tmp_path / "frames.npz", frames=frames)
    bundle = make_bundle(small_bundle.files(), small_bundle.manifest(model_output=small_bundle.model_output()))
    with serving(bundle) as served:
        for was, becomes in (
            ("Bearer ...", f"Bearer {TOKEN}"),
            ("pynq:8421", f"127.0.0.1:{served.port}"),
            ("test_frames.npz", str(tmp_path / "frames.npz")),
            ('"model"', '"small"'),
        ):
            assert was in example
            example = example.replace(was, becomes)
        exec(example, {})
    expected = small_bundle.expected_scores(frames[:16]).argmax(axis=1)
    assert capsys.readouterr().out == f"{expected}\n"


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL))
def test_examples_are_python(code):
    compile(code, "docs/network.md", "exec")

"""Bundles whose digests fit and whose content does not: exit code 8, one line, and one object with --json."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import make_bundle, read_bundle
from lognet_fpga.bundle.contents import MANIFEST, manifest_bytes, manifest_digest
from lognet_fpga.cli import selftest, stream
from lognet_fpga.errors import BundleError
from tests import small_bundle

SEED = 8
NOT_OURS = {"format", "format_version", "files", "digest", "verification", "model", "dtype", "fps", "frames"}
WRONG = (
    None,
    True,
    [],
    {},
    "",
    "x",
    0,
    -1,
    1.5,
    10**30,
    10**400,
    1e300,
    [[]],
    ["x"],
    {"x": 1},
    [0, 0, 0],
    "\n",
    "../x",
)


def written(folder: Path, manifest: dict, files: dict[str, bytes]) -> Path:
    """A bundle with a manifest that make_bundle did not see, its digests right."""
    whole = {
        **manifest,
        **{name: make_bundle(files, {}).manifest[name] for name in ("format", "format_version", "files")},
    }
    whole["digest"] = manifest_digest(whole)
    for name, data in {MANIFEST: manifest_bytes(whole), **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def plain_manifest() -> dict:
    return json.loads(json.dumps(small_bundle.manifest()))


def paths_of(value: object, path: tuple = ()) -> Iterator[tuple]:
    """Of everything in a manifest that this package reads."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        if key not in NOT_OURS:
            yield from paths_of(part, (*path, key))


def changed(path: tuple, value: object) -> dict:
    manifest = plain_manifest()
    place = manifest
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = copy.deepcopy(value)
    return manifest


def removed(path: tuple) -> dict:
    manifest = plain_manifest()
    place = manifest
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return manifest


def outcome(place: Path) -> str:
    """How a bundle is read: "whole", or the message that refuses it."""
    try:
        bundle = read_bundle(place)
    except BundleError as error:
        assert "\n" not in str(error) and len(str(error)) < 500
        return str(error)
    bundle.require_usable()
    return "whole"


def test_every_field_of_the_manifest_with_every_wrong_value(tmp_path):
    """Read whole only where the value is one that may be there."""
    files, taken = {"empty.txt": b""}, set()
    for path in paths_of(plain_manifest()):
        for value in WRONG:
            if outcome(written(tmp_path, changed(path, value), files)) == "whole":
                taken.add((".".join(map(str, path)), repr(value)))
    assert taken == {
        ("name", "'x'"),
        ("board.name", "'x'"),
        ("board.name", "'../x'"),
        ("board.part", "'x'"),
        ("board.part", "'../x'"),
        ("board.power_sensor", "'x'"),
        ("board.power_sensor", "'../x'"),
        ("clk_mhz", "1.5"),
        ("input.preprocessing.scale", "None"),  # 1, of pixels
        ("input.preprocessing.scale", "-1"),
        ("input.preprocessing.scale", "1.5"),
        ("input.preprocessing.scale", f"{10**30}"),
        ("input.preprocessing.mean", "[0, 0, 0]"),
        *(("input.preprocessing.mean.0", value) for value in ("0", "-1", "1.5", f"{10**30}")),
        *(("input.preprocessing.std.0", value) for value in ("1.5", f"{10**30}")),
        *(("output.bits", value) for value in map(repr, WRONG)),  # the sink has them
        *(("plan.layers.0.name", value) for value in ("''", "'x'", "'\\n'", "'../x'")),
        *(("accuracy", value) for value in ("None", "{}", "{'x': 1}")),
        *(
            (f"accuracy.{name}", repr(value))
            for name in ("float_top1", "deployed_top1", "agreement")
            for value in WRONG
            if not (type(value) in (int, float) and value > 2**60)
        ),
    }


@pytest.mark.parametrize("path", list(paths_of(plain_manifest())), ids=lambda path: ".".join(map(str, path)))
def test_every_field_that_is_needed_is_missed(tmp_path, path):
    optional = {"accuracy", "output.bits"}
    name = ".".join(map(str, path))
    whole = outcome(written(tmp_path, removed(path), {"empty.txt": b""})) == "whole"
    assert whole == (name in optional or name.startswith("accuracy."))


# --- files ----------------------------------------------------------------------------------------------------------


def npz(**arrays: np.ndarray) -> bytes:
    return small_bundle.saved(np.savez, **arrays)


def npy(array: np.ndarray) -> bytes:
    return small_bundle.saved(np.save, array)


FRAMES, GIVEN = small_bundle.frames(2), small_bundle.quant_graph().run(small_bundle.frames(2))
JUNK = {
    "empty": b"",
    "noise": random.Random(SEED).randbytes(500),
    "brackets": b"[" * 200_000,
    "text": b"not an array",
    "header cut": npy(FRAMES)[:40],
    "header absurd": npy(FRAMES).replace(b"(2, 3, 6, 5)", b"(9" + b"9" * 9 + b",)"),
    "pickle": npy(np.array([{}], object)),
    "zip cut": npz(frames=FRAMES, conv=GIVEN)[:-30],
}
VECTORS = {
    "no frames": npz(conv=GIVEN),
    "no layer": npz(frames=FRAMES),
    "frames of another shape": npz(frames=FRAMES[:, :2], conv=GIVEN),
    "frames of another type": npz(frames=FRAMES.astype(np.float32), conv=GIVEN),
    "frames of text": npz(frames=np.array(["x"]), conv=GIVEN),
    "no frame at all": npz(frames=FRAMES[:0], conv=GIVEN[:0]),
    "a number": npz(frames=np.uint8(3), conv=np.uint8(3)),
    "fewer activations": npz(frames=FRAMES, conv=GIVEN[:1]),
    "activations of text": npz(frames=FRAMES, conv=GIVEN.astype(str)),
    "complex activations": npz(frames=FRAMES, conv=GIVEN.astype(complex)),
    "dates": npz(frames=FRAMES, conv=np.zeros(GIVEN.shape, "M8[s]")),
    "fields": npz(frames=FRAMES, conv=np.zeros(GIVEN.shape, "i4,f4")),
}
RIGHT_SCORES = small_bundle.expected_scores(small_bundle.frames(4, seed=7)).astype(np.float32)
SCORES = {
    "of another size": npy(RIGHT_SCORES[:, :3]),
    "of fewer frames": npy(RIGHT_SCORES[:2]),
    "text": npy(RIGHT_SCORES.astype(str)),
    "a number": npy(np.float32(1)),
    "complex": npy(RIGHT_SCORES.astype(complex)),
    "fields": npy(np.zeros(RIGHT_SCORES.shape, "f4,f4")),
}
CASES = [
    *(("vectors.npz", name, data) for name, data in {**JUNK, **VECTORS}.items()),
    *(("scores.npy", name, data) for name, data in {**JUNK, **SCORES}.items()),
    *((file, name, data) for file in ("golden.onnx", "tail.onnx") for name, data in JUNK.items()),
]


@pytest.mark.parametrize("file, name, data", CASES, ids=[f"{file}: {name}" for file, name, _ in CASES])
def test_a_file_that_is_not_what_it_must_be(tmp_path, in_process, capsys, require_tool, file, name, data):
    require_tool("onnxruntime")
    place = written(tmp_path / "small.lognet", plain_manifest(), {**small_bundle.files(), file: data})
    code = in_process(selftest.main, place, "--json")
    out, err = capsys.readouterr()
    assert code == 8, err
    assert json.loads(out)["error"]["exit_code"] == 8 and out.count("\n") == 1
    assert "Traceback" not in err and "defect" not in err


def other_tails() -> dict[str, bytes]:
    """Models that onnxruntime takes and a bundle's tail is not."""
    from onnx import TensorProto, helper

    channels, height, width = small_bundle.SHAPE
    source = helper.make_tensor_value_info("activations", TensorProto.UINT8, ["n", height, width, channels])

    def model(nodes, inputs, output_type, shape) -> bytes:
        outputs = [helper.make_tensor_value_info("scores", output_type, shape)] if output_type else []
        graph = helper.make_graph(nodes, "tail", inputs, outputs)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()

    constant = helper.make_node("Constant", [], ["scores"], value_float=1.0)
    two = [source, helper.make_tensor_value_info("more", TensorProto.FLOAT, [1])]
    sequence = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["activations"], ["scores"])],
        "tail",
        [source],
        [helper.make_tensor_sequence_value_info("scores", TensorProto.UINT8, None)],
    )
    opset = [helper.make_opsetid("", 17)]
    return {
        "no input": model([constant], [], TensorProto.FLOAT, []),
        "two inputs": model([helper.make_node("Identity", ["more"], ["scores"])], two, TensorProto.FLOAT, [1]),
        "a scalar": model([constant], [source], TensorProto.FLOAT, []),
        "a sequence": helper.make_model(sequence, opset_imports=opset, ir_version=8).SerializeToString(),
    }


@pytest.mark.parametrize("name", ["no input", "two inputs", "a scalar", "a sequence"])
@pytest.mark.parametrize("file", ["golden.onnx", "tail.onnx"])
def test_a_model_that_does_something_else(tmp_path, in_process, capsys, require_tool, file, name):
    require_tool("onnxruntime")
    require_tool("onnx")
    place = written(tmp_path / "small.lognet", plain_manifest(), {**small_bundle.files(), file: other_tails()[name]})
    np.savez(tmp_path / "f.npz", frames=small_bundle.frames(3))
    for arguments in ((selftest.main, place), (stream.main, place, "--frames", tmp_path / "f.npz")):
        code = in_process(*arguments, "--json")
        out, err = capsys.readouterr()
        assert code == 8, (arguments, err)
        assert json.loads(out)["error"]["exit_code"] == 8 and out.count("\n") == 1


@pytest.mark.parametrize("name, data", [("verilog/lognet_overlay.v", b"\xff\xfe"), ("verilog/deep/x.v", b"")])
def test_verilog_that_is_none(tmp_path, in_process, capsys, name, data):
    files = {**small_bundle.files(), "verilog/lognet_overlay.v": b"module lognet_overlay; endmodule", name: data}
    code = in_process(
        selftest.main, written(tmp_path / "small.lognet", plain_manifest(), files), "--device", "rtl", "--json"
    )
    out, err = capsys.readouterr()
    assert code == 8 and out.count("\n") == 1, err

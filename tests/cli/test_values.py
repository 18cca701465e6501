"""Configuration and reports, the data that the commands pass in and out."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.cli import deploy
from lognet_fpga.config import DeployConfig
from lognet_fpga.errors import UsageError
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.progress import NoProgress
from lognet_fpga.report import Report, Section, Table


@pytest.mark.parametrize("mean, std", [((0.5,), (2.0,)), ((0.1, 0.2, 0.3), (0.5,)), ((0.1, 0.2, 0.3), (1.0, 2.0, 4.0))])
def test_preprocessing_is_its_formula(mean, std):
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5)).astype(np.uint8)
    expected = np.empty(frames.shape)
    for channel in range(3):
        m, s = (values[channel if len(values) == 3 else 0] for values in (mean, std))
        expected[:, channel] = (frames[:, channel] / 255 - m) / s
    np.testing.assert_allclose(Preprocessing(1 / 255, mean, std).apply(frames), expected, rtol=1e-5, atol=1e-6)


def test_preprocessing_of_another_number_of_channels_is_refused():
    with pytest.raises(UsageError, match="2 values.*channels are 3"):
        Preprocessing(mean=(1.0, 2.0)).affine(3)


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 0.0},
        {"scale": float("inf")},
        {"mean": ()},
        {"mean": (float("nan"),)},
        {"std": (0.0,)},
        {"std": (1.0, -1.0)},
    ],
)
def test_preprocessing_out_of_range_is_refused(change):
    with pytest.raises(UsageError):
        Preprocessing(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"fps": 0.0},
        {"fps": float("nan")},
        {"fpga_layers": 0},
        {"act_bits": 3},
        {"act_bits": "most"},
        {"prune": 1.0},
        {"prune": -0.1},
        {"prune": float("nan")},
        {"clk_mhz": 0.0},
        {"clk_mhz": float("nan")},
    ],
)
def test_config_out_of_range_is_refused(change, tmp_path):
    with pytest.raises(UsageError):
        DeployConfig(tmp_path / "m.onnx", **change)


def test_a_report_is_aligned_text():
    table = Table(("layer", "LUTs", "share"), (("conv1", 1234, 0.5), ("conv2 longer", None, 12.345)))
    report = Report("Title", (Section("First", ("one", "two")), Section("Second", (), table)))
    assert report.text() == (
        "Title\n=====\n\nFirst\n  one\n  two\n\nSecond\n"
        "  layer          LUTs  share\n"
        "  ------------  -----  -----\n"
        "  conv1         1,234   0.50\n"
        "  conv2 longer      -  12.35\n"
    )


def test_a_table_without_rows_is_its_headings():
    assert Table(("a", "b"), ()).text_lines() == ["a  b", "-  -"]


def test_no_progress_takes_everything():
    with NoProgress().stage("x") as stage:
        stage.note("y")
        stage.update(1, 2)


@pytest.mark.parametrize("option", ["--fps", "--limit", "--board", "--input-mean", "--out"])
def test_two_dashes_are_no_value(option, in_process, capsys):
    """Of --fps=-- argparse before Python 3.13 makes an empty list; later ones hand the dashes over."""
    assert in_process(deploy.main, "nowhere.onnx", f"{option}=--") in (2, 3)
    said = capsys.readouterr().err
    assert ": error: " in said and "defect" not in said

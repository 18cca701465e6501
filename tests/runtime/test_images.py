"""Pictures of other sizes, orders and kinds, against Pillow itself and closed forms."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.errors import InputError, UsageError
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.runtime.frames import load_frames
from tests.peak_memory import PEAK_KB

Image = pytest.importorskip("PIL.Image")
ImageOps = pytest.importorskip("PIL.ImageOps")
JpegImagePlugin = pytest.importorskip("PIL.JpegImagePlugin")

ROOT = Path(__file__).parents[2]
SHAPE = (3, 20, 24)
RESIZED = Preprocessing(resize=(28,), crop=True)


def picture(height: int, width: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    """(height, width, channels) uint8, noise."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels)).astype(np.uint8)


def torchvision(image: Image.Image, short: int, size: tuple[int, int], filter: int) -> np.ndarray:
    """Resize(short) and CenterCrop(size), as torchvision's documentation and source define them on PIL images."""
    width, height = image.size
    if width <= height:
        image = image.resize((short, int(short * height / width)), filter)
    else:
        image = image.resize((int(short * width / height), short), filter)
    width, height = image.size
    top, left = int(round((height - size[0]) / 2.0)), int(round((width - size[1]) / 2.0))
    return np.asarray(image)[top : top + size[0], left : left + size[1]]


def chw(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 0, 1)


@pytest.mark.parametrize("size", [(20, 24), (41, 33), (37, 90), (29, 28), (28, 31), (33, 64), (21, 25), (5, 7)])
@pytest.mark.parametrize("name, filter", [("bilinear", 2), ("nearest", 0), ("bicubic", 3)])
def test_shorter_side_and_centre_as_torchvision(tmp_path: Path, size, name, filter) -> None:
    image = Image.fromarray(picture(*size))
    image.save(tmp_path / "a.png")
    found = load_frames(tmp_path / "a.png", SHAPE, Preprocessing(resize=(28,), crop=True, interpolation=name))
    np.testing.assert_array_equal(found.frames[0], chw(torchvision(image, 28, SHAPE[1:], filter)))


def test_antialiased_shrinking_takes_every_pixel_into_account(tmp_path: Path) -> None:
    """A checkerboard of single pixels shrunk eightfold is grey everywhere; without antialiasing it is not."""
    board = (np.indices((160, 192)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(np.repeat(board[..., None], 3, axis=2)).save(tmp_path / "a.png")
    smooth = load_frames(tmp_path / "a.png", SHAPE, Preprocessing(resize=(20, 24))).frames[0, :, 1:-1, 1:-1]
    assert abs(smooth.astype(float) - 127.5).max() <= 1
    nearest = load_frames(tmp_path / "a.png", SHAPE, Preprocessing(resize=(20, 24), interpolation="nearest"))
    assert set(np.unique(nearest.frames)) <= {0, 255}


@pytest.mark.parametrize("size", [(20, 24), (21, 25), (23, 31), (40, 24)])
def test_crop_alone_takes_the_centre(tmp_path: Path, size) -> None:
    pixels = picture(*size)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    top, left = (int(round((have - want) / 2.0)) for have, want in zip(size, SHAPE[1:]))
    found = load_frames(tmp_path / "a.png", SHAPE, Preprocessing(crop=True))
    np.testing.assert_array_equal(found.frames[0], chw(pixels[top : top + 20, left : left + 24]))


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_arrays_are_treated_as_pictures(tmp_path: Path, layout, order) -> None:
    pixels = np.stack([picture(33, 41, seed) for seed in range(4)])
    for index, array in enumerate(pixels):
        Image.fromarray(array).save(tmp_path / f"{index}.png")
    np.save(tmp_path / "a.npy", pixels.transpose(0, 3, 1, 2) if layout == "nchw" else pixels)
    how = Preprocessing(resize=(28,), crop=True, channel_order=order)
    found = load_frames(tmp_path / "a.npy", SHAPE, how)
    np.testing.assert_array_equal(found.frames, load_frames(tmp_path, SHAPE, how).frames)
    expected = chw(torchvision(Image.fromarray(pixels[1]), 28, SHAPE[1:], 2))
    np.testing.assert_array_equal(found.frames[1], expected[::-1] if order == "bgr" else expected)


def test_arrays_of_the_model_s_size_are_only_reordered(tmp_path: Path) -> None:
    pixels = np.stack([chw(picture(*SHAPE[1:], seed)) for seed in range(3)])
    np.save(tmp_path / "a.npy", pixels)
    found = load_frames(tmp_path / "a.npy", SHAPE, Preprocessing(resize=(28,), crop=True, channel_order="bgr")).frames
    np.testing.assert_array_equal(found, pixels[:, [2, 1, 0]])
    assert found.flags.c_contiguous


def test_grey_arrays_of_any_size(tmp_path: Path) -> None:
    pixels = picture(40, 50, channels=1)
    np.save(tmp_path / "a.npy", pixels[None, :, :, 0])
    found = load_frames(tmp_path / "a.npy", (1, 20, 24), RESIZED).frames[0, 0]
    np.testing.assert_array_equal(found, torchvision(Image.fromarray(pixels[..., 0]), 28, (20, 24), 2))


def test_every_kind_of_image_becomes_its_colours(tmp_path: Path) -> None:
    """Flat colours, so that the expected pixels are the colours themselves."""
    colour, size = (200, 100, 50), SHAPE[:0:-1]
    Image.new("RGBA", size, (*colour, 0)).save(tmp_path / "rgba.png")
    palette = Image.new("P", size, 1)
    palette.putpalette([0, 0, 0, *colour])
    palette.save(tmp_path / "palette.png")
    palette.save(tmp_path / "transparent.png", transparency=1)
    Image.new("CMYK", size, (55, 155, 205, 0)).save(tmp_path / "cmyk.jpg", quality=100)
    for path in sorted(tmp_path.iterdir()):
        found = load_frames(path, SHAPE).frames[0].reshape(3, -1)
        assert abs(found.astype(int) - np.array(colour)[:, None]).max() <= (3 if path.suffix == ".jpg" else 0), path
        grey = load_frames(path, (1, *SHAPE[1:])).frames
        # ITU-R 601-2 luma, as Pillow's documentation of L says
        assert abs(grey.astype(float) - (200 * 299 + 100 * 587 + 50 * 114) / 1000).max() <= 3, path
    Image.new("LA", size, (77, 0)).save(tmp_path / "la.png")
    assert np.unique(load_frames(tmp_path / "la.png", SHAPE).frames).tolist() == [77]
    Image.new("1", size, 1).save(tmp_path / "bits.png")
    assert np.unique(load_frames(tmp_path / "bits.png", (1, *SHAPE[1:])).frames).tolist() == [255]


@pytest.mark.parametrize(
    "orientation, stored",
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (4, lambda x: x[::-1]),
        (6, lambda x: np.rot90(x, 1)),  # shown after a quarter turn clockwise
        (8, lambda x: np.rot90(x, -1)),
    ],
)
def test_exif_orientation_is_applied(tmp_path: Path, orientation, stored) -> None:
    upright = picture(*SHAPE[1:])
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored(upright))).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(load_frames(tmp_path / "a.png", SHAPE).frames[0], chw(upright))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_data_are_a_clear_error_or_ignored(tmp_path: Path) -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        exif = Image.Exif()
        exif[0x0112] = 6
        data = bytearray(exif.tobytes())
        for place in rng.integers(6, len(data), 3):
            data[place] = rng.integers(256)
        Image.fromarray(picture(24, 20)).save(tmp_path / "a.jpg", exif=bytes(data))
        try:
            load_frames(tmp_path / "a.jpg", SHAPE, RESIZED)
        except InputError as error:
            assert "a.jpg" in str(error)


# --- refusals ---------------------------------------------------------------------------------------------------------


def refusal(path: Path, shape: tuple[int, int, int] = SHAPE, how: Preprocessing = Preprocessing()) -> InputError:
    with pytest.raises(InputError) as caught:
        load_frames(path, shape, how)
    assert path.name in caught.value.message
    return caught.value


def test_a_wrong_size_names_the_option(tmp_path: Path) -> None:
    Image.fromarray(picture(33, 41)).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", picture(33, 41)[None])
    assert "41 wide and 33 high, but the model takes 24 wide" in refusal(tmp_path / "a.png").message
    for name in ("a.png", "a.npy"):
        assert "--resize" in refusal(tmp_path / name).hint
    wide = (3, 20, 60)
    error = refusal(tmp_path / "a.png", wide, Preprocessing(resize=(21,), crop=True))
    assert "26 wide and 21 high after resizing" in error.message and "larger --resize" in error.hint
    assert "--crop" in refusal(tmp_path / "a.png", SHAPE, Preprocessing(resize=(28,))).hint
    small = refusal(tmp_path / "a.png", wide, Preprocessing(crop=True))
    assert "--resize" in small.hint and "41 wide and 33 high, but" in small.message


@pytest.mark.parametrize(
    "array_shape, shape, hint",
    [
        ((4, 20, 24), SHAPE, "grey frames"),
        ((4, 20, 24, 1), SHAPE, "grey frames"),
        ((4, 1, 50, 50), SHAPE, "grey frames"),
        ((4, 20, 24, 3), (1, 20, 24), "colour frames"),
        ((20, 24, 3), SHAPE, r"one frame; give it as \(1, 20, 24, 3\)"),
        ((4, 3, 0, 9), SHAPE, "--resize"),
    ],
)
@pytest.mark.parametrize("how", [Preprocessing(), RESIZED])
def test_arrays_of_other_channels_are_refused(tmp_path: Path, array_shape, shape, hint, how) -> None:
    np.save(tmp_path / "a.npy", np.zeros(array_shape, np.uint8))
    pytest.raises(InputError, load_frames, tmp_path / "a.npy", shape, how).match(hint)


def test_a_thread_of_pixels_is_not_blown_up(tmp_path: Path) -> None:
    Image.new("RGB", (60_000, 1)).save(tmp_path / "a.png")
    assert (
        "more than can be handled"
        in refusal(tmp_path / "a.png", SHAPE, Preprocessing(resize=(2000,), crop=True)).message
    )


def test_an_order_of_colours_needs_colours(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 1, 20, 24), np.uint8))
    with pytest.raises(UsageError, match="channel order"):
        load_frames(tmp_path / "a.npy", (1, 20, 24), Preprocessing(channel_order="bgr"))


# --- whatever Pillow opens --------------------------------------------------------------------------------------------


def png(path: Path, size: tuple[int, int], depth: int, colour: int, rows: bytes) -> None:
    """By hand, for Pillow writes neither colours of 16 bits nor a header without its pixels.  size: (height, width)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", *size[::-1], depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def png_of_16_bits(path: Path, samples: np.ndarray) -> None:
    """samples: (height, width, channels) uint16."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    png(path, samples.shape[:2], 16, {1: 0, 2: 4, 3: 2, 4: 6}[samples.shape[2]], rows)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [SHAPE, (1, *SHAPE[1:])])
def test_16_bits_a_channel_are_refused_whatever_the_colours(tmp_path: Path, channels, shape) -> None:
    png_of_16_bits(tmp_path / "a.png", np.full((*SHAPE[1:], channels), 3000, np.uint16))
    with Image.open(tmp_path / "a.png") as image:
        image.load()  # Pillow takes it
    error = refusal(tmp_path / "a.png", shape)
    assert "more than 8 bits a channel" in error.message and "convert it to 8 bits" in error.hint


def tiff(path: Path, array: np.ndarray) -> None:
    Image.fromarray(array).save(path, format="TIFF")


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("name", ["a.tif", "a.tiff", "a.png"])
def test_deeper_tiffs_are_refused(tmp_path: Path, dtype, name) -> None:
    tiff(tmp_path / name, np.full(SHAPE[1:], 3000, dtype))
    assert "more than 8 bits a channel" in refusal(tmp_path / name).message


def test_a_tiff_of_16_bits_a_colour_is_refused(tmp_path: Path) -> None:
    """Bits a sample and the strip's length changed in a file of 8 bits, for Pillow writes none of 16."""
    cv2 = pytest.importorskip("cv2")
    assert cv2.imwrite(str(tmp_path / "a.tif"), np.full((*SHAPE[1:], 3), 3000, np.uint16))
    assert "more than 8 bits a channel" in refusal(tmp_path / "a.tif").message


@pytest.mark.parametrize("suffix", ["bmp", "gif", "tif", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_other_formats_of_8_bits(tmp_path: Path, suffix, channels) -> None:
    pixels = picture(*SHAPE[1:], channels=channels)
    if suffix == "gif":
        pixels = np.repeat(pixels[..., :1], channels, axis=2)  # which has 256 colours
    image = Image.fromarray(pixels if channels == 3 else pixels[..., 0])
    image.save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(load_frames(tmp_path, (channels, *SHAPE[1:])).frames[0], chw(pixels))


@pytest.mark.parametrize("name, kind", [("a.gif", "GIF"), ("a.png", "PNG"), ("a.tif", "TIFF"), ("a.webp", "WEBP")])
def test_several_pictures_in_a_file_are_refused(tmp_path: Path, name, kind) -> None:
    first, second = (Image.new("RGB", SHAPE[:0:-1], colour) for colour in ("red", "blue"))
    first.save(tmp_path / name, format=kind, save_all=True, append_images=[second])
    assert "several pictures" in refusal(tmp_path / name).message
    first.save(tmp_path / "one.gif", save_all=True)
    assert np.unique(load_frames(tmp_path / "one.gif", SHAPE).frames[0, 0]).tolist() == [255]


def test_the_photo_of_an_mpo_is_its_first(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", SHAPE[:0:-1], (value,) * 3) for value in (50, 200))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    assert abs(load_frames(tmp_path / "a.jpg", SHAPE).frames.astype(int) - 50).max() <= 2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "1", "L", "CMYK", "RGBX"])
def test_modes_as_pillow_itself_converts_them(tmp_path: Path, mode) -> None:
    start = Image.fromarray(picture(*SHAPE[1:])).convert("RGB")
    image = start.convert("P").convert(mode) if mode == "PA" else start.convert(mode)
    suffix = "tif" if mode in ("CMYK", "RGBX", "PA") else "png"
    if mode == "PA":
        image = image.convert("P")  # which no format but TIFF's has
    image.save(tmp_path / f"a.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as kept:
        colour = np.asarray(kept.convert("RGB"))
        grey = np.asarray(kept.convert("RGB").convert("L") if kept.mode in ("CMYK", "RGBX", "P") else kept.convert("L"))
    np.testing.assert_array_equal(load_frames(tmp_path / f"a.{suffix}", SHAPE).frames[0], chw(colour))
    np.testing.assert_array_equal(load_frames(tmp_path / f"a.{suffix}", (1, *SHAPE[1:])).frames[0, 0], grey)


@pytest.mark.filterwarnings("error")
def test_a_palette_with_an_alpha_for_each_colour(tmp_path: Path) -> None:
    palette = Image.new("P", SHAPE[:0:-1], 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    palette.save(tmp_path / "a.png", transparency=b"\x80\x40")
    assert np.unique(load_frames(tmp_path / "a.png", SHAPE).frames[0], axis=2)[:, 0, 0].tolist() == [200, 100, 50]


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA", "EPS", "PDF"])
def test_formats_that_were_not_meant_are_not_opened(tmp_path: Path, kind) -> None:
    Image.new("RGB", SHAPE[:0:-1]).save(tmp_path / "a.out", format=kind)
    (tmp_path / "a.out").rename(tmp_path / "a.png")
    assert "not a whole image" in refusal(tmp_path / "a.png").message


def test_every_byte_of_a_png_changed(tmp_path: Path) -> None:
    """It has check sums: what is read is what was written, or nothing is."""
    Image.fromarray(picture(*SHAPE[1:])).save(tmp_path / "a.png")
    whole, expected = (tmp_path / "a.png").read_bytes(), load_frames(tmp_path / "a.png", SHAPE).frames
    for place in (*range(120), *range(120, len(whole) - 20, 17), *range(len(whole) - 20, len(whole))):
        for mask in (1, 0x80):
            changed = bytes([whole[place] ^ mask])
            (tmp_path / "a.png").write_bytes(whole[:place] + changed + whole[place + 1 :])
            try:
                np.testing.assert_array_equal(load_frames(tmp_path / "a.png", SHAPE).frames, expected)
            except InputError as error:
                assert "a.png" in error.message


def test_what_pillow_logs_is_not_printed(tmp_path: Path) -> None:
    Image.fromarray(picture(*SHAPE[1:])).save(tmp_path / "a.tif")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    (count,) = struct.unpack_from("<H", data, 8)
    for entry in range(10, 10 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry) == (277,):  # samples a pixel
            struct.pack_into("<H", data, entry + 8, 259)
    (tmp_path / "a.tif").write_bytes(data)
    script = (
        "import sys; from pathlib import Path; from lognet_fpga.errors import InputError\n"
        "from lognet_fpga.runtime.frames import load_frames\n"
        "try: load_frames(Path(sys.argv[1]), (3, 20, 24))\n"
        "except InputError as error: print(error.message)"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "a.tif"], capture_output=True, text=True, cwd=ROOT)
    assert "a.tif" in done.stdout and done.stderr == ""


# --- size -------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_of_more_pixels_than_are_read_is_not_decoded(tmp_path: Path) -> None:
    png(tmp_path / "a.png", (13_300, 13_300), 8, 2, b"")
    tracemalloc.start()
    error = refusal(tmp_path / "a.png", SHAPE, RESIZED)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()
    assert "13300 wide and 13300 high, more than the 33,554,432 pixels" in error.message
    png(tmp_path / "a.png", (5_793, 5_793), 8, 2, b"")
    assert "5793 wide" in refusal(tmp_path / "a.png", SHAPE, RESIZED).message
    png(tmp_path / "a.png", (5_792, 5_792), 8, 2, b"")
    assert "not a whole image" in refusal(tmp_path / "a.png", SHAPE, RESIZED).message  # but small enough


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("filter, name", [(2, "bilinear"), (3, "bicubic")])
def test_a_large_photo_is_read_smaller_and_hardly_differs(
    tmp_path: Path, monkeypatch, orientation, filter, name
) -> None:
    """Held against the whole picture, as torchvision resizes it; the limit is lowered to be reached soon."""
    smooth = Image.fromarray(picture(61, 80)).resize((960, 720), 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth.save(tmp_path / "a.jpg", quality=95, exif=exif)
    monkeypatch.setattr("lognet_fpga.runtime.images.MAX_PIXELS", 250_000)
    drafts = []
    draft = JpegImagePlugin.JpegImageFile.draft
    monkeypatch.setattr(
        JpegImagePlugin.JpegImageFile, "draft", lambda self, *a: (draft(self, *a), drafts.append(self.size))[0]
    )
    found = load_frames(tmp_path / "a.jpg", SHAPE, Preprocessing(resize=(56,), crop=True, interpolation=name)).frames[0]
    assert drafts == [(480, 360)]
    with Image.open(tmp_path / "a.jpg") as image:
        whole = ImageOps.exif_transpose(image)
    difference = np.abs(found.astype(int) - chw(torchvision(whole, 56, SHAPE[1:], filter)))
    assert difference.max() <= 2 and difference.mean() < 0.5
    assert (
        "more than the 250,000 pixels" in refusal(tmp_path / "a.jpg", (3, 400, 400), Preprocessing(crop=True)).message
    )


_PEAK = f"""
import sys
from pathlib import Path
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.runtime.frames import load_frames
from tests.peak_memory import PEAK_KB
load_frames(Path(sys.argv[1]), (3, 224, 224), Preprocessing(resize=(256,), crop=True))
print({PEAK_KB} // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, size, orientation",
    [("a.png", (5_792, 5_792), 1), ("a.jpg", (5_792, 5_792), 6), ("a.jpg", (6_120, 8_160), 6)],
)
def test_the_largest_pictures_fit_a_small_board(tmp_path: Path, name, size, orientation) -> None:
    """A PYNQ-Z2 has 512 MB."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size[::-1], (10, 200, 30)).save(tmp_path / name, exif=exif)
    done = subprocess.run([sys.executable, "-c", _PEAK, tmp_path / name], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 350

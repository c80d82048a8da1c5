from __future__ import annotations

import errno
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentlab.core.errors import LatentLabError
from latentlab.data.transforms import ImageTransform, load_image, read_header
from tests.data.image_files import encode, noise_image

KEEP = ImageTransform(size=None, channels=None)


def test_pixels_of_a_lossless_file_come_back_untouched(tmp_path: Path) -> None:
    image = noise_image(1, 17, 23)
    path = tmp_path / "a.png"
    path.write_bytes(encode(image))
    np.testing.assert_array_equal(load_image(path, KEEP), image)
    np.testing.assert_array_equal(load_image(str(path), KEEP), image)
    np.testing.assert_array_equal(load_image(path.read_bytes(), KEEP), image)


def test_a_grey_file_stays_grey_or_becomes_colour() -> None:
    image = noise_image(2, 9, 12, channels=1)
    np.testing.assert_array_equal(load_image(encode(image), KEEP), image[:, :, None])
    colour = load_image(encode(image), ImageTransform(size=None, channels=3))
    np.testing.assert_array_equal(colour, np.repeat(image[:, :, None], 3, axis=2))


def test_grey_is_the_luma_of_itu_r_601() -> None:
    image = noise_image(3)
    grey = load_image(encode(image), ImageTransform(size=None, channels=1))[:, :, 0]
    luma = image @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey - luma).max() <= 0.51


@pytest.mark.parametrize(("height", "width"), [(20, 33), (33, 20), (21, 34), (16, 16)])
def test_center_crop_takes_the_middle_square(height: int, width: int) -> None:
    image = noise_image(4, height, width)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    expected = image[top : top + side, left : left + side]
    np.testing.assert_array_equal(load_image(encode(image), ImageTransform(side)), expected)


def test_box_cuts_the_files_own_pixels_first() -> None:
    image = noise_image(5, 218, 178)
    np.testing.assert_array_equal(
        load_image(encode(image), ImageTransform(148, box=148)), image[35:183, 15:163]
    )


def test_shrinking_averages_instead_of_dropping_pixels() -> None:
    # One-pixel stripes: nearest-neighbour sampling gives black or white, antialiasing grey.
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, ::2] = 255
    small = load_image(encode(image), ImageTransform(16))
    assert np.abs(small[:, 2:-2].astype(int) - 127).max() <= 4


def test_pad_adds_white_above_and_below_and_stretch_fills() -> None:
    image = np.zeros((10, 40, 3), np.uint8)
    padded = load_image(encode(image), ImageTransform(40, crop="pad"))
    assert (padded[:15] == 255).all()
    assert (padded[25:] == 255).all()
    assert (padded[15:25] == 0).all()
    assert (load_image(encode(image), ImageTransform(40, crop="stretch")) == 0).all()


def test_flip_mirrors_left_to_right() -> None:
    image = noise_image(6)
    flipped = load_image(encode(image), ImageTransform(20, flip=True))
    np.testing.assert_array_equal(flipped, image[:, ::-1])


# What has to be done to a stored array so that it stands upright, by EXIF orientation.
UPRIGHT = {
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", list(UPRIGHT))
def test_exif_orientation_is_honoured(orientation: int) -> None:
    stored = noise_image(7, 12, 18)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(stored, exif=exif)
    expected = UPRIGHT[orientation](stored)
    np.testing.assert_array_equal(load_image(data, KEEP), expected)
    header = read_header(data)
    assert (header.height, header.width) == expected.shape[:2]


# Pillow's warning, which the module silences; pytest makes every warning an error again.
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_data_does_not_cost_the_image() -> None:
    image = noise_image(8)
    data = encode(image, "JPEG", quality=95, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert load_image(data, KEEP).shape == (20, 20, 3)


def test_transparency_is_laid_on_white() -> None:
    rgba = noise_image(9, channels=4)
    alpha = rgba[:, :, 3:] / 255.0
    expected = rgba[:, :, :3] * alpha + 255 * (1 - alpha)
    loaded = load_image(encode(rgba), KEEP)
    assert np.abs(loaded - expected).max() <= 1
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "L").convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    loaded = load_image(encode(palette, transparency=1), KEEP)
    assert loaded.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_sixteen_bits_are_scaled_and_not_cut_off() -> None:
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    loaded = load_image(encode(Image.fromarray(values)), KEEP)
    assert loaded[:, :, 0].tolist() == [[0, 1, 128, 255]]


def test_floating_point_images_are_scaled_or_refused() -> None:
    good = encode(Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)), "TIFF")
    assert load_image(good, KEEP)[:, :, 0].tolist() == [[0, 128, 255]]
    for bad in (np.nan, np.inf, -1.0, 1e9):
        data = encode(Image.fromarray(np.array([[0.0, bad]], np.float32)), "TIFF")
        with pytest.raises(LatentLabError, match="8 bits a channel"):
            load_image(data, KEEP)


def test_cmyk_and_palette_files_become_rgb() -> None:
    flat = np.full((16, 16, 3), (200, 60, 20), np.uint8)
    cmyk = encode(Image.fromarray(flat).convert("CMYK"), "TIFF")
    assert np.abs(load_image(cmyk, KEEP).astype(int) - flat).max() <= 2
    gif = encode(Image.fromarray(flat).quantize(8), "GIF")
    assert np.abs(load_image(gif, KEEP).astype(int) - flat).max() <= 4


def test_a_large_jpeg_decoded_small_looks_like_the_full_decoding() -> None:
    ramp = np.linspace(0, 255, 1024).astype(np.uint8)
    image = np.stack([np.broadcast_to(ramp, (768, 1024))] * 3, axis=-1)
    data = encode(np.ascontiguousarray(image), "JPEG", quality=95)
    loaded = load_image(data, ImageTransform(64)).astype(int)
    middle = image[:, 128:896]
    expected = middle.reshape(768, 64, -1, 3).mean(axis=(0, 2))
    assert np.abs(loaded - expected).max() <= 4


def _png_header(width: int, height: int) -> bytes:
    """A PNG that states a size and holds almost nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [9_500, 12_000, 40_000, 2**31 - 1])
def test_an_enormous_header_is_refused_before_anything_is_allocated(side: int) -> None:
    with pytest.raises(LatentLabError, match="million pixels"):
        load_image(_png_header(side, side), KEEP)


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM"])
def test_a_file_cut_anywhere_is_one_sentence(fmt: str) -> None:
    data = encode(noise_image(10, 40, 30), fmt)
    for length in (1, 3, 8, 20, 60, len(data) // 2):
        with pytest.raises(LatentLabError) as caught:
            load_image(data[:length], KEEP, name="cut.img")
        assert caught.value.message.startswith("'cut.img' is ")
        assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 100, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"GIF89a"]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(LatentLabError, match=r"is empty|is not an image"):
        load_image(data, KEEP)


def test_a_pickle_is_not_opened(pickle_bomb: bytes, tmp_path: Path) -> None:
    path = tmp_path / "face.jpg"
    path.write_bytes(pickle_bomb)
    with pytest.raises(LatentLabError, match=r"'face\.jpg' is not an image"):
        load_image(path, KEEP)


def test_a_heic_photograph_gets_its_own_sentence() -> None:
    with pytest.raises(LatentLabError, match="HEIC"):
        load_image(b"\0\0\0\x18ftypheic" + b"\0" * 50, KEEP)


def test_paths_that_hold_no_file(tmp_path: Path) -> None:
    with pytest.raises(LatentLabError, match=r"There is no 'a\.png'"):
        load_image(tmp_path / "a.png")
    with pytest.raises(LatentLabError, match="is a folder"):
        load_image(tmp_path)
    with pytest.raises(LatentLabError, match="cannot be opened"):
        load_image("a\0.png")


@pytest.mark.skipif(os.name == "nt", reason="links and permissions differ on Windows")
def test_link_loops_pipes_and_forbidden_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(LatentLabError, match="cannot be opened"):
        load_image(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(LatentLabError, match="not a plain file"):
        load_image(tmp_path / "pipe.png")
    (tmp_path / "no.png").write_bytes(encode(noise_image(0)))

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # The tests may run as root, whom no permission bit stops.
    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(LatentLabError, match="may not be read"):
        load_image(tmp_path / "no.png")


@pytest.mark.parametrize(
    "settings", [{"size": 0}, {"size": 5000}, {"channels": 2}, {"crop": "round"}, {"box": -1}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(LatentLabError):
        ImageTransform(**settings)  # type: ignore[arg-type]


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 200)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    assert (load_image(stream.getvalue(), ImageTransform(None, 1)) == 10).all()

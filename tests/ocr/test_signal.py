import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocr.signal import SignalConfig, expand, light_on_dark, measure, read, steps_per_length

CONFIG = SignalConfig(height_px=32)


def line(width: int = 300, height: int = 64, ink: int = 20, paper: int = 230) -> Image.Image:
    """Draw letters of half the height of the line, and a block of ink that shows where left is."""
    image = Image.new("L", (width, height), paper)
    draw = ImageDraw.Draw(image)
    draw.text(
        (width / 6, height / 4), "a written line " * 3, fill=ink, font=ImageFont.load_default(height / 3)
    )
    draw.rectangle((4, height // 2, 14, height - 6), fill=ink)  # left, low
    return image


def stream(image: Image.Image, form: str = "png", **options) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, form, **options)
    file.seek(0)
    return file


@pytest.fixture
def expected() -> np.ndarray:
    return read(stream(line()), CONFIG).values


def close(values: np.ndarray, expected: np.ndarray, mean: float = 0.01) -> bool:
    return values.shape == expected.shape and float(np.abs(values - expected).mean()) < mean


def test_columns_run_in_the_direction_of_reading_and_rows_downwards(expected):
    assert expected.shape == (150, 32)
    assert expected.dtype == np.float32
    assert expected.flags.c_contiguous
    assert expected[4, 22] == 1  # the block: left, low
    assert expected[4, 4] == 0


def test_unit_per_step_maps_columns_back_to_pixels_of_the_file():
    signal = read(stream(line(width=301, height=64)), CONFIG)
    assert signal.unit_per_step * len(signal.values) == pytest.approx(301)


@pytest.mark.parametrize("height", [16, 32, 33, 500])
def test_every_line_gets_the_height_of_the_configuration(height):
    assert read(stream(line(height * 5, height)), CONFIG).values.shape == (160, 32)


@pytest.mark.parametrize(("form", "options"), [
    ("png", {}), ("bmp", {}), ("gif", {}), ("ppm", {}), ("tiff", {"compression": "tiff_lzw"}),
    ("webp", {"lossless": True}), ("jpeg", {"quality": 95}), ("webp", {"quality": 60}),
])  # fmt: skip
def test_formats_give_the_same_line(form, options, expected):
    assert close(read(stream(line(), form, **options), CONFIG).values, expected, 0.015)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK", "I;16", "I", "F"])
def test_modes_give_the_same_line(mode, expected):
    image = line()
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    elif mode == "CMYK":
        image = image.convert("RGB").convert("CMYK")
    else:
        image = image.convert(mode)
    assert image.mode == mode
    form = "png" if mode in ("RGBA", "LA", "P", "RGB") else "tiff"
    assert close(read(stream(image, form), CONFIG).values, expected)


@pytest.mark.parametrize("inverted", [False, True])
def test_one_bit_images_are_read_either_way_round(inverted, expected):
    ink = np.asarray(line()) < 128
    image = Image.fromarray(ink if inverted else ~ink)
    assert image.mode == "1"
    values = read(stream(image, "tiff", compression="group4"), CONFIG).values
    assert close(values, expected, 0.05)


def test_floats_from_0_to_1_are_read_as_those_to_255(expected):
    image = Image.fromarray(np.asarray(line(), dtype=np.float32) / 255)
    assert close(read(stream(image, "tiff"), CONFIG).values, expected)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_values_of_fewer_bits_than_the_format_has_are_read(bits, kind, expected):
    values = np.asarray(line()).astype(np.float64) / 255 * (2**bits - 1)
    image = Image.fromarray(np.round(values).astype(kind))
    assert close(read(stream(image, "tiff"), CONFIG).values, expected)


def test_lab_colour_is_read_by_its_lightness(expected):
    """L* of a grey by CIE 1976; after the contrast is stretched, a line of two greys is the same line."""
    grey = np.asarray(line()) / 255
    linear = np.where(grey <= 0.04045, grey / 12.92, ((grey + 0.055) / 1.055) ** 2.4)
    lightness = np.where(linear > 0.008856, 116 * np.cbrt(linear) - 16, 903.3 * linear)
    values = np.zeros((*grey.shape, 3), np.uint8)
    values[..., 0] = np.round(lightness * 2.55)
    image = Image.frombytes("LAB", (grey.shape[1], grey.shape[0]), values.tobytes())
    assert close(read(stream(image, "tiff"), CONFIG).values, expected, 0.02)


def test_transparency_is_laid_over_white(expected):
    ink = np.asarray(line()) < 128
    colour = np.zeros((*ink.shape, 4), np.uint8)  # black everywhere, seen where it is opaque
    colour[..., 3] = 255 * ink
    assert close(read(stream(Image.fromarray(colour)), CONFIG).values, expected, 0.05)


def test_white_ink_on_transparency_is_ink(expected):
    """Subtitles and logos are drawn so: laid over white paper, nothing of them would be seen."""
    ink = np.asarray(line()) < 128
    colour = np.full((*ink.shape, 4), 255, np.uint8)  # white everywhere, seen where it is opaque
    colour[..., 3] = 255 * ink
    assert close(read(stream(Image.fromarray(colour)), CONFIG).values, expected, 0.05)
    given = SignalConfig(height_px=32, detect_inverted=False)
    assert close(read(stream(Image.fromarray(colour)), given).values, expected, 0.05)


def test_white_paper_with_transparent_margins_stays_paper(expected):
    grey = np.asarray(line())
    for opaque in (slice(None), slice(20, 280)):
        alpha = np.zeros_like(grey)
        alpha[:, opaque] = 255
        image = Image.merge("LA", (line(), Image.fromarray(alpha)))
        values = read(stream(image), CONFIG).values
        assert close(values[20:130], expected[20:130], 0.03)
        assert values[:, 0].max() == 0


def test_a_transparent_palette_colour_is_paper(expected):
    ink = np.asarray(line()) < 128
    image = Image.fromarray(np.where(ink, 1, 0).astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 10, 10, 10])
    assert close(read(stream(image, transparency=0), CONFIG).values, expected, 0.05)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "suffix"),
    [("png", "png"), ("jpeg", "jpg"), ("tiff", "tif"), ("webp", "webp"), ("tiff", "png"), ("png", "scan")],
)
def test_exif_rotation_is_applied_whatever_the_name(orientation, form, suffix, expected, tmp_path):
    # how the picture lies in the file so that it is viewed upright
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = line().transpose(Image.Transpose(turn[orientation])) if orientation in turn else line()
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if form == "webp" else {"quality": 95} if form == "jpeg" else {}
    path = tmp_path / f"line.{suffix}"
    stored.save(path, form, exif=exif, **options)
    signal = read(path, CONFIG)
    assert close(signal.values, expected, 0.02)
    assert signal.unit_per_step == 2
    assert measure(str(path)) == pytest.approx(300 / 64)


def test_light_writing_on_dark_ground_is_inverted(expected):
    image = line(ink=230, paper=20)
    assert close(read(stream(image), CONFIG).values, expected)
    as_it_is = read(stream(image), SignalConfig(height_px=32, detect_inverted=False)).values
    assert as_it_is.mean() > 0.5


def test_a_line_dense_with_ink_is_not_inverted():
    grey = np.full((48, 600), 240, np.uint8)
    grey[6:42] = np.where(np.arange(600) % 10 < 7, 10, 240)  # 70 % of three quarters: more ink than paper
    assert (grey < 128).mean() > 0.5
    assert not light_on_dark(grey)
    assert light_on_dark(255 - np.asarray(line()))


def test_a_shadow_over_most_of_the_line_is_not_dark_ground():
    grey = np.asarray(line(600, 48)).astype(float)
    shadow = np.where(np.arange(600) < 480, 0.3, 1.0)
    assert not light_on_dark((grey * shadow).astype(np.uint8))


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (90, 160), (150, 250), (180, 215)])
def test_paper_and_ink_become_0_and_1_whatever_their_greys(ink, paper):
    values = read(stream(line(ink=ink, paper=paper)), CONFIG).values
    assert np.median(values) == 0
    assert values[4, 22] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("paper", [0, 128, 250])
def test_blank_paper_stays_blank(paper):
    rng = np.random.default_rng(0)
    grey = np.clip(paper + rng.normal(0, 3, (64, 400)), 0, 255).astype(np.uint8)
    assert read(stream(Image.fromarray(grey)), CONFIG).values.mean() < 0.08


def test_large_jpegs_are_read_as_their_smaller_selves(expected):
    large = line(2400, 512).resize((2400, 512))
    values = read(stream(large, "jpeg", quality=90), CONFIG).values
    assert close(values, read(stream(large), CONFIG).values, 0.02)


def test_pages_are_named_and_counted_from_0(tmp_path, expected):
    path = tmp_path / "lines.tif"
    line(ink=30).save(path, save_all=True, append_images=[line(200), line(100)])
    assert expand(str(path)) == [f"{path}[0]", f"{path}[1]", f"{path}[2]"]
    assert expand(f"{path}[1]") == [f"{path}[1]"]
    assert [len(read(page, CONFIG).values) for page in expand(str(path))] == [150, 100, 50]
    assert measure(f"{path}[2]") == pytest.approx(100 / 64)
    with pytest.raises(ValueError, match=r"lines\.tif: has 3 pages.*lines\.tif\[0\]"):
        read(path, CONFIG)
    with pytest.raises(ValueError, match=r"lines\.tif\[3\]: .*3 pages"):
        read(f"{path}[3]", CONFIG)


def test_a_file_whose_name_ends_like_a_page_is_that_file(tmp_path, expected):
    path = tmp_path / "scan[7]"
    line().save(path, "png")
    assert close(read(str(path), CONFIG).values, expected)
    assert expand(str(path)) == [str(path)]


def test_a_stream_that_cannot_seek_is_read(expected):
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert close(read(Pipe(stream(line()).getvalue()), CONFIG).values, expected)


def page(lines: int) -> Image.Image:
    """Draw lines of letters one below the other, with space between them."""
    image = Image.new("L", (300, 40 * lines), 235)
    for number in range(lines):
        ImageDraw.Draw(image).text((10, 40 * number + 8), "a worn cover", 20, ImageFont.load_default(22))
    return image


def test_a_page_is_refused_by_its_bands_of_ink(tmp_path):
    page(20).save(tmp_path / "page.png")
    for function in (lambda path: read(path, CONFIG), measure):
        with pytest.raises(ValueError, match=r"page\.png: is 300 px wide and 800 px high, with 20 bands"):
            function(str(tmp_path / "page.png"))


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270])
def test_a_turned_line_is_refused(tmp_path, turn):
    line().transpose(turn).save(tmp_path / "turned.png")
    for function in (lambda path: read(path, CONFIG), measure):
        with pytest.raises(ValueError, match=r"turned\.png: is 64 px wide and 300 px high: .*turned line"):
            function(str(tmp_path / "turned.png"))


@pytest.mark.parametrize("text", "1IiljÅ:%Ξ;!?=≡")
def test_a_single_character_that_is_higher_than_wide_is_a_line(text, tmp_path):
    image = Image.new("L", (32, 80), 235)
    ImageDraw.Draw(image).text((6, 10), text, 20, ImageFont.load_default(40))
    image.save(tmp_path / "character.png")
    assert len(read(str(tmp_path / "character.png"), CONFIG).values) == 13
    assert measure(str(tmp_path / "character.png")) == 0.4


def broken(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    png = stream(line()).getvalue()
    bmp = stream(line(), "bmp").getvalue()
    contents = {
        "empty.png": b"",
        "text.png": b"this is no image",
        "truncated.png": png[: len(png) // 2],
        "truncated.jpg": stream(line(), "jpeg").getvalue()[:1500],
        "truncated.webp": stream(line(), "webp").getvalue()[:600],
        "dot.png": stream(Image.new("L", (1, 1))).getvalue(),
        "flat.png": stream(Image.new("L", (100, 3))).getvalue(),
        "thin.png": stream(Image.new("L", (1, 40))).getvalue(),
        "wide.png": stream(Image.new("L", (30_000, 32))).getvalue(),
        "nan.tif": stream(Image.fromarray(np.full((20, 90), np.nan, np.float32)), "tiff").getvalue(),
        "negative.tif": stream(Image.fromarray(np.full((20, 90), -1, np.float32)), "tiff").getvalue(),
        "bomb.bmp": bmp[:18] + struct.pack("<II", 60_000, 60_000) + bmp[26:],
        "page.bmp": stream(Image.new("1", (9_500, 9_500)), "bmp").getvalue(),
    }
    path.write_bytes(contents[name])
    return path


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("name", "words"), [
    ("empty.png", "is empty"),
    ("text.png", "is not an image"),
    ("truncated.png", "whole"),
    ("truncated.jpg", "whole"),
    ("truncated.webp", "cannot be read as an image"),
    ("dot.png", "1 px wide and 1 px high"),
    ("flat.png", "3 px high"),
    ("thin.png", "1 px wide"),
    ("wide.png", "where 20000 px are allowed; cut it into shorter lines"),
    ("nan.tif", "NaN"),
    ("negative.tif", "from -1 to -1"),
    ("bomb.bmp", "more pixels than the 89,478,485 that are allowed; scale it down"),
    ("page.bmp", "scale it down, or cut it into parts"),
])  # fmt: skip
def test_what_is_no_line_is_refused_in_one_sentence(tmp_path, name, words):
    path = broken(tmp_path, name)
    with pytest.raises(ValueError) as error:
        read(path, CONFIG)
    assert str(error.value).startswith(f"{path}: ")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", ["missing.png", "."])
def test_a_missing_file_and_a_folder_are_refused_by_all(tmp_path, what):
    for function in (lambda path: read(path, CONFIG), measure, expand):
        with pytest.raises(ValueError, match=r"does not exist|is a folder"):
            function(str(tmp_path / what))


@pytest.mark.filterwarnings("ignore")  # Pillow's, about the damage
@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "tiff", "bmp", "gif"])
def test_a_damaged_file_is_read_or_refused_never_worse(form):
    rng, whole = np.random.default_rng(0), stream(line(100, 24), form).getvalue()
    for _ in range(60):
        damaged = np.frombuffer(whole[: rng.integers(1, len(whole) + 1)], np.uint8).copy()
        damaged[rng.integers(len(damaged), size=3)] = rng.integers(256, size=3)
        try:
            values = read(io.BytesIO(damaged.tobytes()), CONFIG).values
        except ValueError:
            continue
        assert np.isfinite(values).all()


def test_measure_times_steps_per_length_is_the_number_of_columns(tmp_path):
    path = tmp_path / "line.png"
    line(333, 41).save(path)
    assert measure(str(path)) * steps_per_length(CONFIG) == pytest.approx(
        len(read(path, CONFIG).values), abs=0.5
    )


@pytest.mark.parametrize("wrong", [{"height_px": 0}, {"max_width_px": 10}, {"min_contrast": 0.0}])
def test_a_configuration_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SignalConfig(**wrong)

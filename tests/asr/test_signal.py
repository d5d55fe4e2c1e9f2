"""Any sound file becomes whole and finite samples at the rate of the model, or an error of one sentence."""

import io
import math
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from asr.signal import SignalConfig, channels, expand, measure, pieces, read, steps_per_length, stream

CONFIG = SignalConfig()
FORMATS = [
    ("wav", "WAV", "PCM_16"),
    ("flac", "FLAC", "PCM_16"),
    ("ogg", "OGG", "VORBIS"),
    ("opus", "OGG", "OPUS"),
    ("mp3", "MP3", "MPEG_LAYER_III"),
    ("aiff", "AIFF", "PCM_24"),
    ("w64", "W64", "PCM_16"),
]


def tone(duration_s: float, rate_hz: int = 16_000, pitch_hz: float = 440.0) -> np.ndarray:
    times = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * pitch_hz * times)).astype(np.float32)


def encoded(samples: np.ndarray, rate_hz: int, kind: str, subtype: str, **options: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=kind, subtype=subtype, **options)
    return file.getvalue()


def noise(duration_s: float, rate_hz: int = 16_000) -> np.ndarray:
    return (0.1 * np.random.default_rng(1).standard_normal(int(duration_s * rate_hz))).astype(np.float32)


@pytest.mark.parametrize(("ext", "kind", "subtype"), FORMATS)
def test_every_format_gives_the_tone_that_was_written(
    tmp_path: Path, ext: str, kind: str, subtype: str
) -> None:
    path = tmp_path / f"tone.{ext}"
    path.write_bytes(encoded(tone(1.5), 16_000, kind, subtype))
    signal = read(str(path), CONFIG)
    assert signal.unit_per_step == 1 / 16_000
    assert signal.values.dtype == np.float32
    assert signal.values.flags.c_contiguous
    assert abs(len(signal.values) - 24_000) <= 1
    assert measure(str(path)) == pytest.approx(1.5, abs=1e-3)
    middle = slice(4000, 20_000)
    assert np.corrcoef(signal.values[middle], tone(1.5)[middle])[0, 1] > 0.99


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_a_tone_keeps_its_pitch_phase_and_level_at_any_rate(rate_hz: int) -> None:
    content = encoded(tone(2, rate_hz), rate_hz, "WAV", "PCM_16")
    values = read(io.BytesIO(content), CONFIG).values
    assert len(values) == 32_000
    assert np.abs(values - tone(2))[800:-800].max() < 2e-3


def test_a_long_file_read_in_blocks_has_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(noise(3, 44_100), 44_100, "WAV", "PCM_16")
    whole = read(io.BytesIO(content), CONFIG).values
    monkeypatch.setattr("asr.source.BLOCK_FRAMES", 1000)
    assert np.abs(read(io.BytesIO(content), CONFIG).values - whole).max() < 1e-6


def test_channels_are_averaged() -> None:
    channels = np.stack([tone(1), np.zeros(16_000, np.float32), -0.25 * tone(1)], 1)
    values = read(io.BytesIO(encoded(channels, 16_000, "WAV", "FLOAT")), CONFIG).values
    assert values == pytest.approx(0.25 * tone(1), abs=1e-6)


@given(st.sampled_from(["PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]), st.floats(0.1, 1))
@settings(max_examples=20, deadline=None)
def test_number_formats_have_the_same_scale(subtype: str, level: float) -> None:
    kind = "AIFF" if subtype == "PCM_S8" else "WAV"
    values = read(io.BytesIO(encoded(level * tone(0.1), 16_000, kind, subtype)), CONFIG).values
    assert values == pytest.approx(level * tone(0.1), abs=0.01 if subtype == "PCM_S8" else 1e-4)


def test_samples_beyond_one_are_scaled_down_not_clipped() -> None:
    content = encoded(20_000 * tone(1), 16_000, "WAV", "FLOAT")
    assert read(io.BytesIO(content), CONFIG).values == pytest.approx(2 * tone(1), abs=1e-6)


def test_silence_is_sound() -> None:
    content = encoded(np.zeros(1600, np.int16), 16_000, "WAV", "PCM_16")
    with pytest.warns(UserWarning, match="is silent"):
        assert not read(io.BytesIO(content), CONFIG).values.any()


@pytest.mark.parametrize(("ext", "kind", "subtype"), FORMATS[:5])
def test_a_segment_is_that_part_of_the_recording(tmp_path: Path, ext: str, kind: str, subtype: str) -> None:
    path = tmp_path / f"talk.{ext}"
    path.write_bytes(encoded(noise(4), 16_000, kind, subtype))
    whole = read(str(path), CONFIG).values
    part = read(f"{path}[1.25,2.5]", CONFIG).values
    assert len(part) == 20_000
    assert np.corrcoef(part, whole[20_000:40_000])[0, 1] > 0.99
    assert measure(f"{path}[1.25,2.5]") == pytest.approx(1.25)
    assert measure(f"{path}[1.25,]") == pytest.approx(2.75, abs=1e-3)
    assert len(read(f"{path}[3,4.3]", CONFIG).values) == pytest.approx(16_000, abs=1)  # ends as the file does


def test_a_segment_outside_of_the_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(encoded(noise(2), 16_000, "WAV", "PCM_16"))
    for times, reason in {
        "[2.1,3]": "starts after the end of the recording, at 2.000 s",
        "[1,2.6]": "ends after the end of the recording, at 2.000 s",
        "[1.5,1.2]": "ends before it starts",
        "[2,]": "starts after the end of the recording, at 2.000 s",
    }.items():
        with pytest.raises(ValueError, match=rf"talk.wav\[.*: {reason}; correct the times"):
            read(f"{path}{times}", CONFIG)


@pytest.mark.parametrize(
    "part", ["[1.4-2.4]", "[0:01,0:02]", "[5]", "::x", "[]", "[,]", "[-0,1]", "[nan,1]", "[1e0,2]", "[1;2]"]
)
def test_what_names_no_part_is_refused_and_not_read_as_the_whole(tmp_path: Path, part: str) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(encoded(noise(3), 16_000, "WAV", "PCM_16"))
    for act in (lambda source: read(source, CONFIG), measure):
        with pytest.raises(ValueError, match=r"names no part of a recording; write \[START,END\] in seconds"):
            act(f"{path}{part}")


def test_a_part_is_the_same_with_spaces_and_without_a_leading_zero(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(encoded(noise(3), 16_000, "WAV", "PCM_16"))
    wanted = read(str(path), CONFIG).values[8000:22_400]
    for part in ("[0.5,1.4]", "[.5,1.4]", "[0.5, 1.4]", "[ 0.50 ,1.40 ]"):
        np.testing.assert_array_equal(read(f"{path}{part}", CONFIG).values, wanted)


def test_a_named_channel_is_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    channels = np.stack([tone(1), noise(1)], 1)
    path.write_bytes(encoded(channels, 16_000, "WAV", "FLOAT"))
    np.testing.assert_array_equal(read(f"{path}[channel1]", CONFIG).values, tone(1))
    np.testing.assert_array_equal(read(f"{path}[channel2]", CONFIG).values, noise(1))
    np.testing.assert_array_equal(read(f"{path}[0.25,0.5,channel2]", CONFIG).values, noise(1)[4000:8000])
    assert measure(f"{path}[0.25,,channel2]") == 0.75
    for part in ("[channel0]", "[channel3]"):
        with pytest.raises(ValueError, match=r"has no channel [03], only 2"):
            read(f"{path}{part}", CONFIG)


def test_the_channels_of_a_recording_are_sources(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(encoded(np.stack([tone(1), noise(1)], 1), 16_000, "WAV", "FLOAT"))
    both = [f"{path}[channel1]", f"{path}[channel2]"]
    found = [channels(str(path), wanted) for wanted in ("left", "right", "1", "2", "each")]
    assert found == [both[:1], both[1:], both[:1], both[1:], both]
    (segment,) = channels(f"{path}[0.25,0.5]", "right")
    np.testing.assert_array_equal(read(segment, CONFIG).values, noise(1)[4000:8000])
    path.write_bytes(encoded(tone(1), 16_000, "WAV", "FLOAT"))
    assert channels(str(path), "each") == both[:1]
    with pytest.raises(ValueError, match="has no channel 2, only 1; name one of these, or none"):
        channels(str(path), "right")


def test_channels_that_cancel_each_other_out_are_said(tmp_path: Path) -> None:
    path = tmp_path / "opposite.wav"
    path.write_bytes(encoded(np.stack([tone(1), -tone(1)], 1), 16_000, "WAV", "PCM_16"))
    with pytest.warns(UserWarning, match=r"opposite.wav: its channels cancel each other out; .*\[channel1\]"):
        read(str(path), CONFIG)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(f"{path}[channel1]", CONFIG)
        for other in (tone(1), noise(1), np.zeros(16_000, np.float32)):
            read(io.BytesIO(encoded(np.stack([tone(1), other], 1), 16_000, "WAV", "PCM_16")), CONFIG)


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_a_recording_whose_samples_are_all_the_same_is_said_to_be_silent(level: float) -> None:
    content = encoded(np.full(16_000, level), 16_000, "WAV", "PCM_16")
    for act in (lambda: read(io.BytesIO(content), CONFIG), lambda: list(stream(io.BytesIO(content), CONFIG))):
        with pytest.warns(UserWarning, match="is silent, all its samples are the same"):
            act()


def test_a_file_that_is_named_like_a_segment_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav[1,2]"
    path.write_bytes(encoded(noise(3), 16_000, "WAV", "PCM_16"))
    assert measure(str(path)) == 3


def test_paths_and_streams_are_sources(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(tone(0.5), 16_000, "WAV", "PCM_16"))
    for source in (str(path), path, io.BytesIO(path.read_bytes())):
        assert len(read(source, CONFIG).values) == 8000
    with path.open("rb") as stream:
        assert len(read(stream, CONFIG).values) == 8000


def test_what_is_no_sound_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("a letter to the editor\n" * 50)
    (tmp_path / "samples.raw").write_bytes(bytes(10_000))
    Image.new("L", (50, 50)).save(tmp_path / "picture.mp3", "PNG")
    for name, reason in {
        "empty.wav": "is empty",
        "text.wav": "cannot be read as sound",
        "samples.raw": "without a header",
        "picture.mp3": "has no sound",
        "gone.wav": "No such file",
        ".": "is a folder",
    }.items():
        for act in (lambda source: read(source, CONFIG), measure):
            with pytest.raises(ValueError, match=reason) as caught:
                act(str(tmp_path / name))
            assert str(caught.value).startswith(str(tmp_path / name))
            assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="the stream: is empty"):
        read(io.BytesIO(), CONFIG)


@pytest.mark.parametrize(
    ("ext", "kind", "subtype"), [*FORMATS, ("rf64", "RF64", "PCM_16"), ("au", "AU", "PCM_16")]
)
@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
def test_a_file_cut_short_is_refused(tmp_path: Path, ext: str, kind: str, subtype: str, share: float) -> None:
    content = encoded(noise(3), 16_000, kind, subtype)
    path = tmp_path / f"cut.{ext}"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(
        ValueError, match=r"cut\.\w+: (is cut short|breaks off|seems|cannot be read as sound)"
    ):
        read(str(path), CONFIG)
    with pytest.raises(ValueError, match=r"cut short|breaks off|seems|cannot be read as sound"):
        read(io.BytesIO(path.read_bytes()), CONFIG)


def test_the_sentence_on_a_cut_file_names_what_was_promised_and_what_is_there(tmp_path: Path) -> None:
    for kind, subtype, numbers in (
        ("WAV", "PCM_16", "promises 96000 bytes .* 47978 are there"),
        ("FLAC", "PCM_16", r"promises 3\.00 s and decoding fails after 1\.[2-5]0 s"),
        ("MP3", "MPEG_LAYER_III", r"to have 3\.00 s and has 1\.\d+ s"),
    ):
        content = encoded(noise(3), 16_000, kind, subtype)
        with pytest.raises(ValueError, match=numbers):
            read(io.BytesIO(content[: len(content) // 2]), CONFIG)


def test_a_wav_written_into_a_pipe_is_read_to_its_end() -> None:
    content = bytearray(encoded(noise(1), 16_000, "WAV", "PCM_16"))
    content[4:8] = content[40:44] = struct.pack("<I", 0xFFFF_FFFF)
    assert len(read(io.BytesIO(bytes(content)), CONFIG).values) == 16_000


def wav(riff_size: int, data_size: int, after: bytes = b"") -> bytes:
    """Return a WAV of one second, 32044 bytes, with other sizes in its header and bytes after its samples."""
    content = bytearray(encoded(noise(1), 16_000, "WAV", "PCM_16") + after)
    content[4:8], content[40:44] = struct.pack("<I", riff_size), struct.pack("<I", data_size)
    return bytes(content)


def both_ways(content: bytes) -> list[np.ndarray | str]:
    """Return what the file and the stream of `content` give: samples, or the first words of an error."""
    found: list[np.ndarray | str] = []
    for act in (
        lambda: read(io.BytesIO(content), CONFIG).values,
        lambda: np.concatenate([piece.values for piece in stream(Slow(content), CONFIG)]),
    ):
        try:
            found.append(act())
        except ValueError as error:
            found.append(str(error)[:30])
    return found


@pytest.mark.parametrize(
    ("riff_size", "data_size"),
    [
        (32_036, 32_000), (0, 0), (8, 0), (36, 0), (32_036, 0), (0, 32_000), (0xFFFF_FFFF, 0),
        (0xFFFF_FFFF, 0xFFFF_FFFF), (36, 0xFFFF_FFFF), (0, 0x7FFF_F000), (999, 32_000),
    ],
)  # fmt: skip
def test_file_and_stream_read_all_sound_under_any_unfinished_header(riff_size: int, data_size: int) -> None:
    whole = read(io.BytesIO(encoded(noise(1), 16_000, "WAV", "PCM_16")), CONFIG).values
    for values in both_ways(wav(riff_size, data_size)):
        np.testing.assert_array_equal(values, whole)


@pytest.mark.parametrize("form", ["file", "path"])
def test_a_wav_of_which_the_header_was_not_finished_is_whole(tmp_path: Path, form: str) -> None:
    path = tmp_path / "crashed.wav"
    path.write_bytes(wav(0, 0))
    source = str(path) if form == "path" else path.open("rb")
    assert len(read(source, CONFIG).values) == 16_000
    assert measure(str(path)) == 1


@pytest.mark.parametrize("data_size", [0, 0xFFFF_FFFF, 0x7FFF_F000])
def test_a_wav_of_unknown_size_that_ends_within_a_sample_is_read_and_it_is_said(data_size: int) -> None:
    with pytest.warns(UserWarning, match="ends within a sample: 1 of its 2 bytes are there"):
        assert len(read(io.BytesIO(wav(0, data_size)[:-1]), CONFIG).values) == 15_999


@pytest.mark.parametrize(
    "after",
    [
        b"LIST\x04\0\0\0INFO",
        b"id3 \x05\0\0\0hello\0",
        b"TAG" + bytes(125),
        bytes(2000),
        b"LIST\x04\0\0\0INFO" + bytes(100),
    ],
)
def test_chunks_and_tags_and_zeros_after_the_samples_are_no_sound(after: bytes) -> None:
    for values in both_ways(wav(32_036 + len(after), 32_000, after)):
        np.testing.assert_array_equal(values, both_ways(wav(32_036, 32_000))[0])


def test_sound_after_the_announced_end_of_a_wav_is_said_by_file_and_stream() -> None:
    one = encoded(noise(1), 16_000, "WAV", "PCM_16")
    for content in (one + one, wav(32_036, 1000), wav(1036, 1000), wav(32_036, 16_001)):
        for act in (lambda source: read(source, CONFIG), lambda source: list(stream(source, CONFIG))):
            with pytest.raises(ValueError, match=r"goes on after the \d+ bytes of samples that its header"):
                act(io.BytesIO(content))


@pytest.mark.parametrize(
    ("kind", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", "PCM_24")]
)
@pytest.mark.parametrize("second_s", [0.1, 2])
@pytest.mark.parametrize("form", ["stream", "path"])
def test_sound_after_the_announced_end_is_said(
    tmp_path: Path, kind: str, subtype: str, second_s: float, form: str
) -> None:
    """The second Ogg has the serial number of the first: libsndfile takes both for one."""
    first = encoded(noise(2), 16_000, kind, subtype)
    second = first if second_s == 2 else encoded(noise(second_s), 16_000, kind, subtype)
    path = tmp_path / "two.bin"
    path.write_bytes(first + second)
    with pytest.raises(ValueError, match=r"two.bin: (goes on after the 2.00 s|breaks off, or goes on)"):
        read(str(path) if form == "path" else path.open("rb"), CONFIG)
    path.write_bytes(first + b"TAG" + bytes(125))
    if kind == "FLAC":
        assert len(read(str(path), CONFIG).values) == 32_000
    path.write_bytes(first)
    assert len(read(str(path), CONFIG).values) == 32_000


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
def test_a_flac_whose_header_announces_less_than_there_is_is_refused(share: float) -> None:
    content = bytearray(encoded(noise(3), 16_000, "FLAC", "PCM_16"))
    fields = int.from_bytes(content[18:26], "big")
    content[18:26] = (fields >> 36 << 36 | int(48_000 * share)).to_bytes(8, "big")
    with pytest.raises(ValueError, match=r"goes on after the .* that its header announces"):
        read(io.BytesIO(bytes(content)), CONFIG)


def test_a_flac_of_unknown_length_is_refused() -> None:
    content = bytearray(encoded(noise(1), 16_000, "FLAC", "PCM_16"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    with pytest.raises(ValueError, match="does not say how long"):
        read(io.BytesIO(bytes(content)), CONFIG)


@pytest.mark.parametrize(("kind", "subtype"), [("OGG", "OPUS"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")])
def test_joined_files_of_which_only_the_first_would_be_heard_are_refused(kind: str, subtype: str) -> None:
    content = encoded(noise(1), 16_000, kind, subtype) + encoded(noise(2), 16_000, kind, subtype)
    with pytest.raises(ValueError, match=r"second stream|has 3.* s"):
        read(io.BytesIO(content), CONFIG)


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 32_000, 44_100])
def test_an_mp3_of_which_the_end_would_be_lost_is_refused(rate_hz: int) -> None:
    quiet_first = np.concatenate([np.zeros(rate_hz, np.float32), noise(3, rate_hz)])
    content = encoded(quiet_first, rate_hz, "MP3", "MPEG_LAYER_III", bitrate_mode="VARIABLE")
    assert len(read(io.BytesIO(content), CONFIG).values) == pytest.approx(64_000, abs=1)
    index = max(content[:200].find(b"Xing"), content[:200].find(b"Info"))
    assert index > 0
    first = content.find(content[:2], index)  # the index is the first frame
    with pytest.raises(ValueError, match="seems by its header to have"):
        read(io.BytesIO(content[first:]), CONFIG)


def tags() -> dict[str, bytes]:
    """Return tags with a picture of random bytes, in which the sync word of MP3 is found many times."""
    picture = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
    picture += 50 * b"\xff\xfb\x90\x00"
    item = struct.pack("<II", len(picture), 2) + b"Cover Art (Front)\0" + picture
    ends = [
        b"APETAGEX" + struct.pack("<IIII", 2000, len(item) + 32, 1, flags) + bytes(8)
        for flags in (0xA000_0000, 0x8000_0000)
    ]
    frame = b"APIC" + struct.pack(">I", len(picture)) + b"\0\0" + picture
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    return {
        "ape": ends[0] + item + ends[1],
        "id3v2": b"ID3\x03\0\0" + size + frame,
        "id3v1": b"TAG" + b"\xff\xfb\x90" + bytes(122),
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], ["ape"]), ([], ["id3v2"]), (["id3v2"], []), (["id3v2", "id3v2"], []), ([], ["id3v1"]),
        (["id3v2"], ["ape", "id3v1"]),
    ],
)  # fmt: skip
def test_an_mp3_with_tags_around_the_sound_is_whole(before: list[str], after: list[str]) -> None:
    content = encoded(noise(3), 16_000, "MP3", "MPEG_LAYER_III")
    plain = read(io.BytesIO(content), CONFIG).values
    known = tags()
    tagged = b"".join(known[name] for name in before) + content + b"".join(known[name] for name in after)
    np.testing.assert_array_equal(read(io.BytesIO(tagged), CONFIG).values, plain)


def test_samples_that_are_no_numbers_are_refused() -> None:
    for bad in (math.nan, math.inf, -math.inf, 3e38):
        samples = tone(1)
        samples[4000] = bad
        with pytest.raises(ValueError, match=r"the sample at 0\.250 s is not a finite number"):
            read(io.BytesIO(encoded(samples, 16_000, "WAV", "FLOAT")), CONFIG)


def test_too_short_and_too_long_recordings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"is 0\.0249 s long, at least 0\.025 s"):
        read(io.BytesIO(encoded(np.zeros(398, np.int16), 16_000, "WAV", "PCM_16")), CONFIG)
    with pytest.raises(ValueError, match=r"is 3\.0 s long, at most 2 s"):
        read(io.BytesIO(encoded(noise(3), 16_000, "WAV", "PCM_16")), SignalConfig(max_duration_s=2))


def test_a_configuration_without_sense_is_refused() -> None:
    for fields in ({"sample_rate_hz": 16}, {"max_duration_s": 0.0}, {"max_duration_s": math.nan}):
        with pytest.raises(ValueError, match="choose"):
            SignalConfig(**fields)


@given(st.binary(min_size=1, max_size=300), st.sampled_from(FORMATS))
@settings(max_examples=60, deadline=None)
def test_damage_anywhere_gives_sound_or_a_value_error(damage: bytes, form: tuple[str, str, str]) -> None:
    content = bytearray(encoded(noise(0.2), 16_000, form[1], form[2]))
    place = damage[0] * len(content) // 256
    content[place : place + len(damage)] = damage
    try:
        values = read(io.BytesIO(bytes(content)), CONFIG).values
    except ValueError:
        return
    assert np.isfinite(values).all()
    assert np.abs(values).max() <= 1


def test_a_source_is_one_recording_and_a_second_has_rate_many_steps() -> None:
    assert expand("talk.wav") == ["talk.wav"]
    assert steps_per_length(SignalConfig(8000)) == 8000


# --- while it comes


class Slow(io.BytesIO):
    """A stream whose bytes arrive a few at a time."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(min(501, size if size is not None and size >= 0 else 501))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_the_pieces_of_a_stream_are_what_the_file_is(rate_hz: int, channels: int) -> None:
    samples = np.stack([noise(1, rate_hz), tone(1, rate_hz)][:channels], 1)
    content = encoded(samples, rate_hz, "WAV", "PCM_16")
    whole = read(io.BytesIO(content), CONFIG)
    for source in (io.BytesIO, Slow):
        pieces = list(stream(source(content), CONFIG))
        assert {piece.unit_per_step for piece in pieces} == {whole.unit_per_step}
        np.testing.assert_array_equal(np.concatenate([piece.values for piece in pieces]), whole.values)
    assert len(pieces) > 3


def test_what_goes_beyond_full_scale_is_softened_from_there_with_a_warning() -> None:
    samples = np.concatenate([tone(1), 4 * tone(1), tone(1)])
    with pytest.warns(UserWarning, match=r"beyond full scale \(2\.00\) after 1\.0 s") as warned:
        values = np.concatenate(
            [piece.values for piece in stream(Slow(encoded(samples, 16_000, "WAV", "FLOAT")), CONFIG)]
        )
    assert len(warned) == 1
    assert np.abs(values).max() <= 1
    np.testing.assert_array_equal(values[:15_000], samples[:15_000])
    np.testing.assert_allclose(values[-15_000:], samples[-15_000:] / 2, atol=1e-6)


def test_full_scale_itself_is_no_cause_for_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(stream(io.BytesIO(encoded(2 * tone(1), 16_000, "WAV", "PCM_16")), CONFIG))


def test_a_stream_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 0\.025 s were wanted"):
        list(stream(io.BytesIO(encoded(tone(0.02), 16_000, "WAV", "PCM_16")), CONFIG))


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_what_came_before_an_error_is_given_whole(rate_hz: int) -> None:
    """The resampler yields its last samples, too."""
    samples = tone(1, rate_hz)
    samples[rate_hz // 2] = np.nan
    pieces = []
    with pytest.raises(ValueError, match="is not a finite number"):
        for piece in stream(Slow(encoded(samples, rate_hz, "WAV", "FLOAT")), CONFIG):
            pieces.append(piece.values)
    assert 7800 < sum(map(len, pieces)) <= 8000


def test_an_mp3_that_is_read_in_pieces_says_nothing_on_standard_error(tmp_path, capfd):
    samples = 0.1 * np.random.default_rng(1).standard_normal(16_000 * 40)
    soundfile.write(tmp_path / "a.mp3", samples, 16_000, bitrate_mode="CONSTANT", compression_level=0.6)
    whole = read(tmp_path / "a.mp3", SignalConfig()).values
    found = np.concatenate(list(pieces(tmp_path / "a.mp3", SignalConfig())))
    assert np.abs(found - whole).max() < 1e-6
    assert capfd.readouterr().err == ""

"""Corpora in the formats of others give the same examples; each missing item gives one sentence."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.corpora import CorpusConfig, read_corpus
from asr.signal import SignalConfig, measure, read

CONFIG = CorpusConfig()


def sound(path: Path, duration_s: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(0).integers(-999, 999, int(16_000 * duration_s), dtype=np.int16)
    soundfile.write(path, samples, 16_000)
    return path


def written(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_a_nemo_manifest_has_paths_relative_to_it(tmp_path: Path) -> None:
    sound(tmp_path / "clips" / "a.wav")
    manifest = written(
        tmp_path / "train.jsonl",
        '{"audio_filepath": "clips/a.wav", "duration": 1.0, "text": "a naïve word", "speaker": "anna"}',
        "",
        f'{{"audio_filepath": "{tmp_path}/clips/a.wav", "text": ""}}',
        '{"audio_filepath": "clips/b.wav", "duration": 1.0, "text": "gone"}',
        '{"audio_filepath": "clips/a.wav", "duration": 1.0}',
    )
    corpus = read_corpus(str(manifest), CONFIG)
    first, second = corpus.examples
    assert (first.text, first.length, first.speaker) == ("a naïve word", 1.0, "anna")
    assert first.source == f"{tmp_path}/clips/a.wav"
    assert (second.text, second.length, second.source) == ("", None, first.source)
    assert sorted(corpus.problems) == [
        f"{manifest}:4: {tmp_path}/clips/b.wav is not there; restore it or drop the utterance",
        f'{manifest}:5: {tmp_path}/clips/a.wav has no "text"; write what is said',
    ]


def test_a_manifest_with_offsets_has_segments(tmp_path: Path) -> None:
    path = sound(tmp_path / "talk.wav", 3)
    manifest = written(
        tmp_path / "dev.json",
        '{"audio_filepath": "talk.wav", "duration": 0.75, "offset": 1.25, "text": "middle"}',
        '{"audio_filepath": "talk.wav", "offset": 2, "text": "end"}',
        '{"audio_filepath": "talk.wav", "offset": 0.0, "duration": 0.1, "text": "start"}',
        '{"audio_filepath": "talk.wav", "duration": 3.0, "offset": null, "text": "\\"offset\\""}',
    )
    corpus = read_corpus(str(manifest), CONFIG)
    assert not corpus.problems
    assert [example.source for example in corpus.examples] == [
        f"{path}[1.25,2]",
        f"{path}[2,]",
        f"{path}[0,0.1]",
        str(path),
    ]
    assert [example.length for example in corpus.examples] == [0.75, None, pytest.approx(0.1), 3.0]
    assert [measure(example.source) for example in corpus.examples] == pytest.approx([0.75, 1, 0.1, 3])
    middle = read(corpus.examples[0].source, SignalConfig()).values
    assert np.array_equal(middle, read(path, SignalConfig()).values[20_000:32_000])


def test_a_text_key_other_than_text_can_be_named(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    manifest = written(tmp_path / "a.jsonl", '{"audio_filepath": "a.wav", "raw": "Hello."}')
    assert read_corpus(str(manifest), CorpusConfig(text_key="raw")).examples[0].text == "Hello."


def test_a_librispeech_tree_is_read(tmp_path: Path) -> None:
    for name in ("84-121123-0000", "84-121123-0001", "84-121123-0003"):
        sound(tmp_path / "dev-clean" / "84" / "121123" / f"{name}.flac")
    sound(tmp_path / "dev-clean" / "174" / "50561" / "174-50561-0000.flac")
    written(tmp_path / "dev-clean" / "174" / "50561" / "174-50561.trans.txt", "174-50561-0000 FORGOTTEN TOO")
    transcript = written(
        tmp_path / "dev-clean" / "84" / "121123" / "84-121123.trans.txt",
        "84-121123-0000 GO DO YOU HEAR",
        "84-121123-0001 BUT IN LESS THAN FIVE MINUTES",
        "84-121123-0002 AT THIS MOMENT",
    )
    corpus = read_corpus(str(tmp_path), CONFIG)
    assert [(example.text, example.speaker) for example in corpus.examples] == [
        ("FORGOTTEN TOO", "174"),
        ("GO DO YOU HEAR", "84"),
        ("BUT IN LESS THAN FIVE MINUTES", "84"),
    ]
    assert corpus.examples[1].source == str(transcript.parent / "84-121123-0000.flac")
    assert corpus.examples[2].origin == f"{transcript}:2"
    assert len(corpus.problems) == 2
    assert "84-121123-0002" in corpus.problems[0]
    assert "84-121123-0003.flac: has no line" in corpus.problems[1]


def test_a_kaldi_folder_without_segments_is_read(tmp_path: Path) -> None:
    path = sound(tmp_path / "sounds" / "a.wav")
    written(tmp_path / "wav.scp", f"anna-1 {path}", "anna-2   sounds/a.wav", "ben-1 sounds/a.wav")
    written(tmp_path / "text", "anna-1 good morning", "anna-2 ", "carl-1 unheard")
    written(tmp_path / "utt2spk", "anna-1 anna", "anna-2 anna")
    written(tmp_path / "utt2dur", "anna-1 1.0")
    corpus = read_corpus(str(tmp_path), CONFIG)
    assert [(e.source, e.text, e.length, e.speaker) for e in corpus.examples] == [
        (str(path), "good morning", 1.0, "anna"),
        (str(path), "", None, "anna"),
    ]
    assert [problem.split("; ")[0] for problem in corpus.problems] == [
        f"{tmp_path}/wav.scp:3: ben-1 has no line in {tmp_path}/text",
        f"{tmp_path}/text:3: carl-1 has no line in {tmp_path}/wav.scp",
    ]


def test_a_recording_of_a_kaldi_folder_may_have_any_name_and_a_text_has_to_be_utf8(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.wav").rename(tmp_path / "caf\udce9.wav")
    (tmp_path / "wav.scp").write_bytes(b"a " + os.fsencode(path) + b"\n")
    (tmp_path / "text").write_bytes(b"a coffee\n")
    assert [example.source for example in read_corpus(str(tmp_path), CONFIG).examples] == [str(path)]
    (tmp_path / "text").write_bytes(b"a caf\xe9\n")
    with pytest.raises(ValueError, match=r"text: has no line that can be used; .*text:1: byte 6 "):
        read_corpus(str(tmp_path), CONFIG)


def test_a_kaldi_folder_with_segments_has_parts_of_recordings(tmp_path: Path) -> None:
    path = sound(tmp_path / "show.wav", 4)
    written(tmp_path / "wav.scp", "show show.wav")
    written(tmp_path / "segments", "u1 show 0.5 1.75", "u2\tshow\t2\t-1", "u3 other 0 1")
    written(tmp_path / "text", "u1 one", "u2 two", "u3 three")
    corpus = read_corpus(str(tmp_path), CONFIG)
    assert [(e.source, e.text, e.length) for e in corpus.examples] == [
        (f"{path}[0.5,1.75]", "one", 1.25),
        (f"{path}[2,]", "two", None),
    ]
    assert measure(corpus.examples[1].source) == 2
    assert len(corpus.problems) == 1
    assert "segments:3: other has no line" in corpus.problems[0]


@pytest.mark.parametrize(
    ("file", "line", "reason"),
    [
        ("wav.scp", "u1 sph2pipe -f wav a.sph |", "wav.scp:2: 'sph2pipe -f wav a.sph |' is a command"),
        ("wav.scp", "show other.wav", "wav.scp:2: show has a line above"),
        ("segments", "u1 show 3 2", "segments:2: goes from 3 to 2 s"),
        ("segments", "u1 show later -1", "segments:2: 'later' is not a number of seconds, 0 or more"),
        ("segments", "u1 show nan 1", "segments:2: 'nan' is not a number of seconds, 0 or more"),
        ("segments", "u1 show -0.5 1", "segments:2: '-0.5' is not a number of seconds, 0 or more"),
        ("segments", "u1 show", "segments:2: '' are no times"),
        ("segments", "u1 show 0 1 left", "segments:2: 'left' is no channel"),
        ("text", "u0 one", "text:2: u0 has a line above"),
        ("utt2spk", "u0 anna", "utt2spk:2: u0 has a line above"),
    ],
)
def test_a_kaldi_line_that_cannot_be_understood_is_named_and_the_others_are_read(
    tmp_path: Path, file: str, line: str, reason: str
) -> None:
    sound(tmp_path / "show.wav")
    tables = {"wav.scp": "show show.wav", "text": "u0 zero", "segments": "u0 show 0 0.5", "utt2spk": "u0 a"}
    for name, content in tables.items():
        written(tmp_path / name, content, *([line] if name == file else []))
    if line.startswith("u1"):
        with (tmp_path / "text").open("a") as text:
            text.write("u1 one\n")
    corpus = read_corpus(str(tmp_path), CONFIG)
    assert [(e.text, e.source, e.speaker) for e in corpus.examples] == [
        ("zero", f"{tmp_path}/show.wav[0,0.5]", "a")
    ]
    assert corpus.problems[0].startswith(f"{tmp_path}/{reason}")


def test_an_empty_optional_kaldi_table_is_as_none_and_an_empty_text_is_refused(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.wav")
    written(tmp_path / "wav.scp", "a a.wav")
    written(tmp_path / "text", "a good morning")
    for name in ("segments", "utt2spk", "utt2dur"):
        written(tmp_path / name)
    corpus = read_corpus(str(tmp_path), CONFIG)
    assert [(e.source, e.text) for e in corpus.examples] == [(str(path), "good morning")]
    assert not corpus.problems
    written(tmp_path / "text")
    with pytest.raises(ValueError, match="text: has no lines"):
        read_corpus(str(tmp_path), CONFIG)


@pytest.mark.parametrize(("sound_form", "text_form"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_are_paired_in_whichever_unicode_form_they_are(
    tmp_path: Path, sound_form: str, text_form: str
) -> None:
    """Some systems store the é of a name as e and an accent, others as one character."""
    path = sound(tmp_path / unicodedata.normalize(sound_form, "Séance.wav"))
    name = unicodedata.normalize(text_form, "Séance")
    written(tmp_path / f"{name}.txt", "one two")
    written(tmp_path / "all.csv", "wav_filename,transcript", f"{name}.wav,one two")
    written(tmp_path / "all.jsonl", f'{{"audio_filepath": "{name}.wav", "text": "one two"}}')
    for corpus in (tmp_path, tmp_path / "all.csv", tmp_path / "all.jsonl"):
        found = read_corpus(str(corpus), CONFIG)
        assert [(example.source, example.text) for example in found.examples] == [(str(path), "one two")]
        assert not found.problems


def test_every_format_that_is_read_is_found_in_a_folder(tmp_path: Path) -> None:
    """A tone is saved in every format that libsndfile both writes and reads without being told its rate."""
    exts = {"AIFF": (".aif", ".aiff", ".aifc"), "AU": (".au", ".snd"), "CAF": (".caf",), "FLAC": (".flac",)}
    exts |= {"MP3": (".mp3",), "OGG": (".ogg", ".oga", ".opus"), "RF64": (".rf64",), "W64": (".w64",)}
    exts |= {"WAV": (".wav", ".wave")}
    names = [(ext, kind) for kind, several in exts.items() for ext in several]
    for ext, kind in names:
        path = tmp_path / f"{ext[1:]}{ext}"
        soundfile.write(path, np.sin(np.arange(8000)) / 2, 16_000, format=kind)
        read(str(path), SignalConfig())
        written(path.with_suffix(".txt"), "one")
    assert len(read_corpus(str(tmp_path), CONFIG).examples) == len(names)


def test_a_negative_zero_is_zero_and_not_the_whole_recording(tmp_path: Path) -> None:
    path = sound(tmp_path / "show.wav", 3)
    written(tmp_path / "k" / "wav.scp", f"show {path}")
    written(tmp_path / "k" / "segments", "u1 show -0.00 1.40")
    written(tmp_path / "k" / "text", "u1 one")
    manifest = written(
        tmp_path / "m.jsonl", '{"audio_filepath": "show.wav", "text": "one", "offset": -0.0, "duration": 1.4}'
    )
    for corpus in (tmp_path / "k", manifest):
        (example,) = read_corpus(str(corpus), CONFIG).examples
        assert len(read(example.source, SignalConfig()).values) == 1.4 * 16_000


def test_a_kaldi_segment_is_of_the_channel_that_is_named_counted_from_0(tmp_path: Path) -> None:
    left, right = np.linspace(0.5, 0, 16_000), np.linspace(-0.5, 0.5, 16_000)
    soundfile.write(tmp_path / "call.wav", np.stack([left, right], 1), 16_000, subtype="FLOAT")
    written(tmp_path / "wav.scp", "call call.wav")
    written(tmp_path / "segments", "u1 call 0.25 0.5 0", "u2 call 0.25 0.5 1", "u3 call 0.25 -1 1")
    written(tmp_path / "text", "u1 one", "u2 two", "u3 three")
    sources = [example.source for example in read_corpus(str(tmp_path), CONFIG).examples]
    signals = [read(source, SignalConfig()).values for source in sources]
    for found, wanted in zip(signals, (left[4000:8000], right[4000:8000], right[4000:]), strict=True):
        np.testing.assert_array_equal(found, wanted.astype(np.float32))


def test_a_manifest_with_two_carriage_returns_keeps_its_offsets(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.wav", 3)
    row = b'{"audio_filepath": "a.wav", "offset": 1, "duration": 0.5, "text": "one"}\r\r\n'
    (tmp_path / "m.jsonl").write_bytes(3 * row)
    corpus = read_corpus(str(tmp_path / "m.jsonl"), CONFIG)
    assert [example.source for example in corpus.examples] == 3 * [f"{path}[1,1.5]"]


def test_a_bad_row_of_a_manifest_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", 3)
    good = '{"audio_filepath": "a.wav", "text": "good", "offset": 1, "duration": 1}'
    bad = ['"duration": NaN', '"offset": -1', '"offset": NaN', '"offset": "1"', '"offset": true']
    rows = [f'{{"audio_filepath": "a.wav", "text": "bad", {field}}}' for field in bad]
    manifest = written(tmp_path / "m.jsonl", *rows, "{", good)
    corpus = read_corpus(str(manifest), CONFIG)
    assert [(example.text, example.origin) for example in corpus.examples] == [("good", f"{manifest}:7")]
    assert [problem.split(": ")[0] for problem in corpus.problems] == [f"{manifest}:{n}" for n in range(1, 7)]


def test_a_line_break_within_quotes_of_a_table_is_white_space_of_the_text(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    content = b'wav_filename,transcript\r\na.wav,"well,\r\nyes"\r\na.wav,no\r\n'
    (tmp_path / "t.csv").write_bytes(content)
    corpus = read_corpus(str(tmp_path / "t.csv"), CONFIG)
    assert [(e.text.split(), e.origin) for e in corpus.examples if e.text] == [
        (["well,", "yes"], f"{tmp_path}/t.csv:2"),
        (["no"], f"{tmp_path}/t.csv:4"),
    ]
    assert not corpus.problems


def test_a_quote_left_open_in_a_table_is_named_and_the_rows_after_it_are_read(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    table = written(
        tmp_path / "t.csv", "wav_filename,transcript", 'a.wav,"OVER', "a.wav,THE", 'a.wav,"FA"CT', "a.wav,END"
    )
    corpus = read_corpus(str(table), CONFIG)
    assert [example.text for example in corpus.examples] == ["THE", "END"]
    assert len(corpus.problems) == 2
    assert corpus.problems[0].startswith(f"{table}:2: ")
    assert "quote" in corpus.problems[0]
    assert corpus.problems[1].startswith(f"{table}:4: ")
    unclosed = written(
        tmp_path / "u.csv", "wav_filename,transcript", "a.wav,OVER", 'a.wav,"THE', "a.wav,FACT"
    )
    corpus = read_corpus(str(unclosed), CONFIG)
    assert [example.text for example in corpus.examples] == ["OVER", "FACT"]
    assert corpus.problems == [f"{unclosed}:3: its quote is never closed; correct the quotes"]


def test_a_chapter_of_librispeech_without_its_transcript_is_named(tmp_path: Path) -> None:
    for chapter in "23":
        sound(tmp_path / "1" / chapter / f"1-{chapter}-0000.flac")
    written(tmp_path / "1" / "2" / "1-2.trans.txt", "1-2-0000 OVER THE FACT")
    corpus = read_corpus(str(tmp_path), CONFIG)
    assert [example.text for example in corpus.examples] == ["OVER THE FACT"]
    assert corpus.problems == [f"{tmp_path}/1/3/1-3-0000.flac: has no transcript; write what is said"]


def test_a_csv_table_is_read(tmp_path: Path) -> None:
    path = sound(tmp_path / "clips" / "a.wav")
    table = written(
        tmp_path / "train.csv",
        "wav_filename,wav_filesize,transcript",
        'clips/a.wav,32044,"well, yes"',
        f"{path},32044,no",
        "clips/a.wav,32044,well, yes",
        "clips/b.wav,32044,gone",
    )
    corpus = read_corpus(str(table), CONFIG)
    assert [(e.source, e.text, e.length, e.origin) for e in corpus.examples] == [
        (str(path), "well, yes", None, f"{table}:2"),
        (str(path), "no", None, f"{table}:3"),
    ]
    assert [problem.split(";")[0] for problem in corpus.problems] == [
        f"{table}:4: has 4 fields, 3 were wanted",
        f"{table}:5: {tmp_path}/clips/b.wav is not there",
    ]


def test_a_folder_of_recordings_with_their_texts_is_read(tmp_path: Path) -> None:
    for name in ("b/one.wav", "a/two.opus", "a/two.mp3", "a/three.flac", "four.ogg", "five.wav", "six.a.wav"):
        kind = {"opus": ("OGG", "OPUS"), "mp3": ("MP3", None), "flac": ("FLAC", None), "ogg": ("OGG", None)}
        ext = name.rpartition(".")[2]
        (tmp_path / name).parent.mkdir(exist_ok=True)
        form, subtype = kind.get(ext, ("WAV", None))
        soundfile.write(tmp_path / name, np.zeros(16_000), 16_000, format=form, subtype=subtype)
    for name, text in {
        "b/one": "ein Wort\n",
        "a/two": "\ufeffzwei",
        "a/three": "three\nlines\nhere\n",
        "four": "\n",
        "six.a": "a point in the name",
        "seven": "nobody says it",
    }.items():
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    (tmp_path / ".hidden.wav").write_bytes(b"")
    corpus = read_corpus(str(tmp_path), CONFIG)
    assert [(e.source.removeprefix(f"{tmp_path}/"), e.text) for e in corpus.examples] == [
        ("a/two.opus", "zwei"),
        ("b/one.wav", "ein Wort"),
        ("six.a.wav", "a point in the name"),
    ]
    problems = "\n".join(corpus.problems)
    assert len(corpus.problems) == 5
    for sentence in (
        f"two.mp3: has the name of {tmp_path}/a/two.opus",
        "three.txt: has 3 lines",
        "four.txt: is empty",
        "five.wav: there is no five.txt beside it",
        "seven.txt: there is no recording seven.wav beside it",
    ):
        assert sentence in problems


def test_what_is_no_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no wav\.scp, no .* and no recordings"):
        read_corpus(str(tmp_path), CONFIG)
    with pytest.raises(ValueError, match="gone: cannot be read"):
        read_corpus(str(tmp_path / "gone"), CONFIG)
    with pytest.raises(ValueError, match=r"a\.csv:1: the columns are"):
        read_corpus(str(written(tmp_path / "a.csv", "path,sentence", "a.wav,hello")), CONFIG)
    with pytest.raises(ValueError, match=r"empty\.csv"):
        read_corpus(str(written(tmp_path / "empty.csv", "wav_filename,transcript")), CONFIG)
    with pytest.raises(ValueError, match=r"a\.jsonl:1: not JSON"):
        read_corpus(str(written(tmp_path / "a.jsonl", "{")), CONFIG)
    with pytest.raises(ValueError, match=r'b\.jsonl:1: "offset" is -1'):
        line = '{"audio_filepath": "a.wav", "offset": -1, "text": ""}'
        read_corpus(str(written(tmp_path / "b.jsonl", line)), CONFIG)
    (tmp_path / "latin.csv").write_bytes("wav_filename,transcript\na.wav,größe\n".encode("latin-1"))
    corpus = read_corpus(str(tmp_path / "latin.csv"), CONFIG)
    assert not corpus.examples
    assert "latin.csv:2: byte 9 of the line is not UTF-8" in corpus.problems[0]


def test_a_file_of_the_modality_is_no_corpus(tmp_path):
    (tmp_path / "talk.opus").write_bytes(b"\0\xff")
    with pytest.raises(ValueError, match=r"talk.opus: is sound, not a corpus; name a manifest or a folder"):
        read_corpus(f"{tmp_path}/talk.opus", CorpusConfig())

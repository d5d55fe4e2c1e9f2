import os
from dataclasses import replace
from pathlib import Path

import pytest
from untrained import recognizer_of

from common.recognition.sources import Parts, find_sources


@pytest.fixture
def modality():
    """A modality whose files of the ending .two hold two sources."""

    def expand(source):
        if "broken" in str(source):
            raise ValueError(f"{source}: is broken")
        return [f"{source}[0]", f"{source}[1]"] if str(source).endswith(".two") else [source]

    return replace(recognizer_of("asr").modality, expand=expand, suffixes=frozenset({".wav", ".two"}))


def found(modality, *names, recursive=True):
    """Return the sources with their folders, and the sentences about files that cannot be opened."""
    refused: list[str] = []
    each = list(find_sources(modality, [str(name) for name in names], Parts(), recursive, refused.append))
    return [(str(source), str(one.folder)) for one in each for source in one.sources], refused


def test_folders_stand_for_the_files_in_them_in_order_with_their_places(modality, tmp_path):
    for name in ("b.wav", "a/z.WAV", "a/deep/y.two", "a/text.txt", ".hidden/x.wav", "c/broken.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    sources, refused = found(modality, tmp_path)
    assert sources == [
        (f"{tmp_path}/b.wav", "."),
        (f"{tmp_path}/a/z.WAV", "a"),
        (f"{tmp_path}/a/deep/y.two[0]", "a/deep"),
        (f"{tmp_path}/a/deep/y.two[1]", "a/deep"),
    ]
    assert refused == [f"{tmp_path}/c/broken.wav: is broken"]


def test_a_folder_with_nothing_to_read_is_said(modality, tmp_path):
    (tmp_path / "notes.txt").touch()
    assert found(modality, tmp_path) == (
        [],
        [f"{tmp_path}: holds no file whose name ends in .two .wav; name another folder"],
    )


def test_without_the_flag_a_folder_is_refused_and_files_are_taken_whatever_their_ending(modality, tmp_path):
    (tmp_path / "sound.bin").touch()
    sources, refused = found(modality, tmp_path, tmp_path / "sound.bin", recursive=False)
    assert sources == [(f"{tmp_path}/sound.bin", ".")]
    assert refused == [f"{tmp_path}: is a folder; say --recursive for the files in it, or name them"]


def test_a_link_to_a_folder_above_ends_somewhere(modality, tmp_path):
    (tmp_path / "a.wav").touch()
    os.symlink(tmp_path, Path(tmp_path) / "again")
    assert found(modality, tmp_path)[0] == [(f"{tmp_path}/a.wav", ".")]

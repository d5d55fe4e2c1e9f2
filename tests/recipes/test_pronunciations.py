import json
from pathlib import Path

import pronunciations
from pronunciations import words_of, write_pairs

from common.language.kneser_ney import estimate


def write_manifest(path: Path, text: str) -> None:
    (path.parent / "a.wav").touch()
    path.write_text(json.dumps({"audio_filepath": "a.wav", "duration": 1, "text": text}))


def test_pairs_have_each_word_once_with_its_first_pronunciation(tmp_path):
    dictionary = tmp_path / "said.dict"
    dictionary.write_text("READ R EH1 D\nread(2) R IY1 D\nto T UW1\ntwo T UW1\nyou Y UW1\n")
    write_pairs(dictionary, tmp_path / "pairs", 1, seed=0)
    train, dev = ((tmp_path / "pairs" / f"{name}.tsv").read_text().splitlines() for name in ("train", "dev"))
    assert len(dev) == 1
    assert sorted(train + dev) == ["read\tR EH D", "to\tT UW", "two\tT UW", "you\tY UW"]


def test_words_are_those_of_manifests_and_models(tmp_path):
    write_manifest(tmp_path / "a.jsonl", "ONE TWO")
    estimate(["THREE"], 1, "word").save(tmp_path / "words.npz")
    assert list(words_of([tmp_path / "a.jsonl", tmp_path / "words.npz"])) == ["one", "two", "three"]


def test_words_that_the_dictionary_lacks_are_pronounced_or_named(tmp_path, monkeypatch, caplog):
    class Spells:
        """Says each word as it is spelled."""

        def transcribe(self, words):
            class Found:
                def __init__(self, text):
                    self.text = text

            return (Found(" ".join(word.decode())) for word in words)

    monkeypatch.setattr(pronunciations.Recognizer, "load", lambda *_: Spells())
    (tmp_path / "said.dict").write_text("one W AH1 N\ntot t o t\n")
    write_manifest(tmp_path / "a.jsonl", "ONE TO TEN '")
    found = pronunciations.missing(tmp_path / "said.dict", tmp_path / "m", [tmp_path / "a.jsonl"])
    assert [(word, phones) for word, phones in found] == [("to", ("t", "o"))]
    assert caplog.messages == ["1 of 2 words are left out, not written in phones: ten"]

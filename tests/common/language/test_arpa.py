import gzip
import logging
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.language.arpa import read_arpa, write_arpa
from common.language.kneser_ney import estimate
from common.language.ngram import EMPTY_CONTEXT, FLOOR, NGram
from common.language.perplexity import perplexity

LOOKING = """\
Anything may stand above.

\\data\\
ngram 1=6
ngram 2=4
ngram 3=2

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.5
-0.7\t</s>
-0.8\tlooking\t-0.4
-0.9\ton\t-0.3
-1.1\tbeyond

\\2-grams:
-0.2\t<s> looking\t-0.1
-0.25\tlooking on\t-0.05
-0.35\ton on
-0.15\ton </s>

\\3-grams:
-0.01\t<s> looking on
-0.02\tlooking on </s>

\\end\\
"""


def written(tmp_path, text: str, name: str = "lm.arpa"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def log10_of(model: NGram, text: str) -> list[float]:
    return (model.log_probs(model.split(text)).astype(np.float64) / math.log(10)).tolist()


@pytest.fixture
def looking(tmp_path) -> NGram:
    return read_arpa(written(tmp_path, LOOKING))


@pytest.mark.parametrize(
    ("text", "log10"),
    [
        ("looking on", [-0.2, -0.01, -0.02]),
        ("looking", [-0.2, -0.1 + -0.4 + -0.7]),  # <s> looking, looking: both back off
        ("on on", [-0.5 + -0.9, -0.35, -0.15]),  # "on on" has no weight of its own
        ("looking on on", [-0.2, -0.01, -0.05 + -0.35, -0.15]),
        ("beyond", [-0.5 + -1.1, -0.7]),
        ("looking unheard on", [-0.2, -0.1 + -0.4 + -1.5, -0.9, -0.15]),
        ("", [-0.5 + -0.7]),
    ],
)
def test_known_values(looking, text, log10):
    assert log10_of(looking, text) == pytest.approx(log10, abs=1e-6)
    assert perplexity(looking, [text or "looking"]).perplexity > 1


def test_the_content_of_a_file_is_read(looking):
    assert looking.tokens == ("<unk>", "<s>", "</s>", "looking", "on", "beyond")
    assert (looking.unit, looking.order, looking.counts) == ("word", 3, [6, 4, 2])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\t", " "),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("<unk>", "<UNK>"),
        lambda text: text.replace("ngram 1=6", "ngram  1 = 6").replace("\\data\\", " \\data\\ "),
        lambda text: text.replace("looking on </s>", "looking on </s>\t0"),
        lambda text: text.replace("-0.01", "-1e-2").rstrip("\n"),
    ],
    ids=[
        "spaces",
        "carriage returns",
        "capital <UNK>",
        "spaced header",
        "weight at the top",
        "no last break",
    ],
)
def test_variants_of_other_tools_change_nothing(looking, change, tmp_path):
    other = read_arpa(written(tmp_path, change(LOOKING), "other.arpa"))
    np.testing.assert_array_equal(other.log_prob, looking.log_prob)
    np.testing.assert_array_equal(other.backoff, looking.backoff)
    assert other.tokens == looking.tokens


def test_gzip_is_recognised_by_the_content(looking, tmp_path):
    path = tmp_path / "named.otherwise"
    path.write_bytes(gzip.compress(LOOKING.encode()))
    np.testing.assert_array_equal(read_arpa(path).log_prob, looking.log_prob)


def test_without_an_unknown_token_the_floor_is_used(tmp_path):
    model = read_arpa(written(tmp_path, LOOKING.replace("-1.5\t<unk>\n", "").replace("1=6", "1=5")))
    log_prob, state = model.score(np.array([EMPTY_CONTEXT, model.start]), np.array([0, 0]))
    assert log_prob == pytest.approx([FLOOR, FLOOR - 0.5 * math.log(10)])
    assert state.tolist() == [EMPTY_CONTEXT, EMPTY_CONTEXT]
    assert log10_of(model, "zebra on")[1] == pytest.approx(-0.9)
    assert model.rows(np.array([model.start]))[0, 0] == log_prob[1]


def test_without_start_tokens_a_sentence_begins_at_the_root(tmp_path):
    text = (
        "\\data\\\nngram 1=2\nngram 2=1\n\n\\1-grams:\n-0.1 aa -0.2\n-0.3 bb\n\n"
        "\\2-grams:\n-0.5 aa bb\n\\end\\\n"
    )
    model = read_arpa(written(tmp_path, text))
    assert model.start == EMPTY_CONTEXT
    assert log10_of(model, "aa bb") == pytest.approx([-0.1, -0.5, -100])


def test_minus_infinity_is_the_floor(tmp_path):
    model = read_arpa(written(tmp_path, LOOKING.replace("-99\t<s>", "-inf\t<s>")))
    assert model.log_prob[1 + 1] == pytest.approx(FLOOR)


def test_missing_contexts_are_added_without_changing_scores(tmp_path, caplog):
    """SRILM's pruning can leave out "looking on" and keep "looking on </s>"."""
    pruned = LOOKING.replace("-0.25\tlooking on\t-0.05\n", "").replace("-0.2\t<s> looking\t-0.1\n", "")
    pruned = pruned.replace("ngram 2=4", "ngram 2=2")
    with caplog.at_level(logging.INFO):
        model = read_arpa(written(tmp_path, pruned))
    assert "added 2" in caplog.text
    assert model.counts == [6, 4, 2]
    assert log10_of(model, "looking on") == pytest.approx([-0.5 + -0.8, -0.01, -0.02])
    assert log10_of(model, "on looking on on") == pytest.approx(
        [-0.5 + -0.9, -0.3 + -0.8, -0.4 + -0.9, -0.35, -0.15]
    )


def test_missing_contexts_are_added_on_several_levels(tmp_path):
    text = (
        "\\data\\\nngram 1=4\nngram 2=1\nngram 3=0\nngram 4=1\n\n"
        "\\1-grams:\n-0.1 aa -0.01\n-0.2 bb -0.02\n-0.3 cc -0.03\n-0.4 dd\n\n"
        "\\2-grams:\n-0.5 bb cc -0.05\n\n\\3-grams:\n\n\\4-grams:\n-0.6 aa bb cc dd\n\n\\end\\\n"
    )
    model = read_arpa(written(tmp_path, text))
    assert model.counts == [4, 2, 1, 1]
    assert log10_of(model, "aa bb cc dd")[:4] == pytest.approx([-0.1, -0.01 - 0.2, -0.5, -0.6])
    assert log10_of(model, "aa bb cc aa")[:4] == pytest.approx([-0.1, -0.01 - 0.2, -0.5, -0.05 - 0.03 - 0.1])


# --- characters


def of_characters(*tokens: str) -> str:
    lines = "".join(f"-1 {token}\n" for token in ("<unk>", "<s>", "</s>", *tokens))
    return f"\\data\\\nngram 1={len(tokens) + 3}\n\n\\1-grams:\n{lines}\n\\end\\\n"


@pytest.mark.parametrize(
    ("tokens", "unit", "read"),
    [
        ("a <space> b", "character", "a, ,b"),
        ("a | b", "character", "a, ,b"),
        ("a ▁ b", "character", "a, ,b"),
        ("a | ▁ <space>", "character", "a,|,▁, "),
        ("a | ▁", "character", "a,|, "),
        ("a b", "character", "a,b"),
        ("a bc |", "word", "a,bc,|"),
        ("a bc <space>", "word", "a,bc,<space>"),
        ("a <SPACE> b", "character", "a, ,b"),
        ("a [space] b", "character", "a, ,b"),
        ("a <sp> |", "character", "a, ,|"),
        ("a ␣ | b", "character", "a, ,|,b"),
        ("a _ b", "character", "a, ,b"),
        ("a sp b", "word", "a,sp,b"),
        ("a <space> <sp>", "word", "a,<space>,<sp>"),
        ("日 é", "character", "日,é"),
    ],
)
def test_single_characters_make_a_character_model_and_one_of_them_is_the_space(tmp_path, tokens, unit, read):
    model = read_arpa(written(tmp_path, of_characters(*tokens.split())))
    assert (model.unit, model.tokens[3:]) == (unit, tuple(read.split(",")))


def test_a_byte_order_mark_is_passed_over(tmp_path, looking):
    marked = read_arpa(written(tmp_path, "\ufeff" + LOOKING[LOOKING.index("\\data") :], "marked.arpa"))
    assert marked.tokens == looking.tokens
    np.testing.assert_array_equal(marked.log_prob, looking.log_prob)


def test_a_model_without_an_unknown_token_is_read_with_a_warning(tmp_path, caplog):
    read_arpa(written(tmp_path, LOOKING))
    assert not caplog.records
    lacking = LOOKING.replace("-1.5\t<unk>\n", "").replace("1=6", "1=5")
    model = read_arpa(written(tmp_path, lacking, "lacking.arpa"))
    assert "lacking.arpa: has no <unk>, so each word that it lacks costs 230 (10^-100)" in caplog.text
    assert log10_of(model, "unheard")[0] == pytest.approx(-100.5)  # KenLM: 10^-100, and the backoff of <s>


def test_a_token_may_be_a_white_space_that_is_not_ascii(tmp_path):
    model = read_arpa(written(tmp_path, of_characters("a", "\u00a0", "\u2028", "\u3000")))
    assert model.tokens[3:] == ("a", "\u00a0", "\u2028", "\u3000")


# --- there and back


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("abé日 \u2028\u00a0"), max_size=9), min_size=1, max_size=6),
    st.integers(1, 5),
    st.sampled_from(["word", "character"]),
    st.booleans(),
)
def test_written_models_are_read_back_to_the_last_bit(tmp_path_factory, texts, order, unit, is_gzipped):
    model = estimate([*texts, "a bb"], order, unit)
    path = tmp_path_factory.mktemp("arpa") / ("lm.arpa.gz" if is_gzipped else "lm.arpa")
    write_arpa(model, path)
    assert path.read_bytes().startswith(b"\x1f\x8b" if is_gzipped else b"\\data\\")
    back = read_arpa(path)
    assert (back.tokens, back.unit, back.order) == (model.tokens, model.unit, model.order)
    for name in ("token", "log_prob", "backoff", "suffix", "first_child"):
        np.testing.assert_array_equal(getattr(back, name), getattr(model, name))


def test_the_text_is_the_same_each_time(tmp_path):
    model = estimate(["a b", "b a"], 3)
    for name in ("one.arpa.gz", "two.arpa.gz"):
        write_arpa(model, tmp_path / name)
    assert (tmp_path / "one.arpa.gz").read_bytes() == (tmp_path / "two.arpa.gz").read_bytes()


def test_the_space_is_written_by_name(tmp_path):
    write_arpa(estimate(["a b"], 2), tmp_path / "lm.arpa")
    text = (tmp_path / "lm.arpa").read_text()
    assert "\ta <space>\n" in text
    assert text.startswith("\\data\\\nngram 1=6\nngram 2=4\n\n\\1-grams:\n")
    assert text.endswith("\n\\end\\\n")


def test_white_space_that_separates_fields_is_refused_when_writing(tmp_path):
    with pytest.raises(ValueError, match=r"lm.arpa: an ARPA file cannot hold the token '\\t'"):
        write_arpa(estimate(["a\tb"], 2), tmp_path / "lm.arpa")
    assert not list(tmp_path.iterdir())


# --- what is wrong


def cut(text: str, at: str) -> str:
    return text[: text.index(at)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "lm.arpa: is empty"),
        ("hello\nworld\n", r"lm.arpa: has no line \\data\\"),
        ("hello\0world\n", "lm.arpa:1: not text"),
        (LOOKING.replace("ngram 2=4", "ngram 2=four"), "lm.arpa:5: 'ngram 2=four' came, ngram 2=COUNT"),
        (LOOKING.replace("ngram 2=4\n", ""), "lm.arpa:5: 'ngram 3=2' came, ngram 2=COUNT"),
        (LOOKING.replace("ngram 1=6\nngram 2=4\nngram 3=2\n", ""), r"lm.arpa:5: .* at least unigrams"),
        (LOOKING.replace("ngram 1=6", "ngram 1=7"), "lm.arpa:15: the 1-grams end after 6 of 7"),
        (LOOKING.replace("ngram 1=6", "ngram 1=5"), "lm.arpa:14: .* is one more than were announced"),
        (LOOKING.replace("ngram 3=2", "ngram 3=1"), r"lm.arpa:24: .*, \\end\\ was wanted"),
        (
            LOOKING.replace("\\2-grams", "\\3-grams", 1),
            r"lm.arpa:16: .* is out of place, \\2-grams: was wanted",
        ),
        (LOOKING.replace("-0.35", "minus"), "lm.arpa:19: 'minus' is not a number"),
        (LOOKING.replace("-0.35", "nan"), "lm.arpa:19: 'nan' is not a number"),
        (LOOKING.replace("-0.35", "0.35"), "lm.arpa:19: '0.35' is no log-probability; they are 0 or less"),
        (LOOKING.replace("-0.05", "inf"), "lm.arpa:18: 'inf' is not a number"),
        (LOOKING.replace("-0.35\ton on", "-0.35\ton"), "lm.arpa:19: 2 fields, 3 or 4 were wanted"),
        (LOOKING.replace("on on", "on on -0.1 on"), "lm.arpa:19: 5 fields, 3 or 4 were wanted"),
        (LOOKING.replace("on on", "on under"), "lm.arpa:19: 'under' is not among the unigrams"),
        (LOOKING.replace("on on", "looking on"), "lm.arpa:19: this n-gram stands here a second time"),
        (LOOKING.replace("\tbeyond", "\ton"), "lm.arpa:14: this n-gram stands here a second time"),
        (cut(LOOKING, "-0.01"), "lm.arpa:22: the file ends after 0 of 2 3-grams"),
        (cut(LOOKING, "-0.8\tlooking"), "lm.arpa:11: the file ends after 3 of 6 1-grams"),
        (cut(LOOKING, "\\3-grams"), "lm.arpa:21: the file ends here, before the 3-grams"),
        (cut(LOOKING, "\\end"), r"lm.arpa:25: the file ends here, before \\end\\"),
        (cut(LOOKING, "\\1-grams"), "lm.arpa:7: the file ends here, before the 1-grams"),
    ],
)
def test_errors_are_reported_with_their_line(tmp_path, text, problem):
    with pytest.raises(ValueError, match=problem):
        read_arpa(written(tmp_path, text))


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "lm.arpa"
    with pytest.raises(ValueError, match=r"lm.arpa: cannot be read \(No such file"):
        read_arpa(path)
    with pytest.raises(ValueError, match=r"cannot be read \(Is a directory"):
        read_arpa(tmp_path)
    path.write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0")
    with pytest.raises(ValueError, match="is a binary of KenLM; name the ARPA file"):
        read_arpa(path)
    path.write_bytes(LOOKING.replace("beyond", "über").encode("latin-1"))
    with pytest.raises(ValueError, match=r"lm.arpa:14: .* is not UTF-8"):
        read_arpa(path)
    whole = gzip.compress(LOOKING.encode())
    for damaged in (whole[:-20], whole[:40] + bytes(10) + whole[50:], b"\x1f\x8b" + bytes(30)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="its compression is damaged"):
            read_arpa(path)

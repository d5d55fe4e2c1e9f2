from common.text.symbols import Alphabet
from common.training.preparation import report_invisible


def test_invisible_symbols_are_named(caplog):
    report_invisible(Alphabet.from_texts(["a b\u00e9\u05d0"]), "train")
    assert not caplog.records
    report_invisible(Alphabet.from_texts(["a\u200eb\u00ad\x07\ue000"]), "train")
    assert "train: 4 symbols invisible or of private use" in caplog.text
    assert "U+0007, U+00AD SOFT HYPHEN, U+200E LEFT-TO-RIGHT MARK, U+E000" in caplog.text

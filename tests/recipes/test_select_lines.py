from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from select_lines import foreign, select

LINE = (
    '<TextLine id="l{number}"><Coords points="0,{top} 400,{top} 400,{bottom} 0,{bottom}"/>'
    '<Baseline points="0,{base} 400,{base}"/><TextEquiv><Unicode>{text}</Unicode></TextEquiv></TextLine>'
)
PAGE = (
    '<PcGts><Page imageFilename="a.png" imageWidth="400" imageHeight="200"><TextRegion id="r">'
    '<Coords points="0,0 400,0 400,200 0,200"/>{lines}</TextRegion></Page></PcGts>'
)


def test_letters_of_other_scripts_are_found_and_signs_are_of_none():
    assert foreign("Ça coûte 3 ₤ – ϑεός", frozenset({"LATIN", "GREEK"})) == []
    assert foreign("Ça ϑ थ ж", frozenset({"LATIN"})) == ["ϑ", "थ", "ж"]


def test_lines_of_the_scripts_are_cut_and_the_others_counted(tmp_path: Path, caplog):
    texts = ["Am See", "थमश", "Im Wald"]
    lines = "".join(
        LINE.format(number=number, top=60 * number, bottom=60 * number + 50, base=60 * number + 40, text=text)
        for number, text in enumerate(texts)
    )
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.xml").write_text(PAGE.format(lines=lines), encoding="utf-8")
    rows = np.full((200, 400), 255, np.uint8)
    rows[20:40, 100:300], rows[140:160, 50:90] = 0, 90
    Image.fromarray(rows).save(tmp_path / "pages" / "a.png")
    with caplog.at_level("INFO"):
        assert select(tmp_path / "out", [str(tmp_path / "pages")], frozenset({"LATIN"})) == 2
    assert caplog.messages == [f"{tmp_path / 'pages'}: 3 lines, 1 of them left out"]
    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert found == ["00000.gt.txt", "00000.png", "00001.gt.txt", "00001.png"]
    assert (tmp_path / "out" / "00001.gt.txt").read_text() == "Im Wald\n"
    ink = [(np.asarray(Image.open(tmp_path / "out" / f"0000{number}.png")) < 128).sum() for number in (0, 1)]
    assert ink == pytest.approx([20 * 200, 20 * 40], rel=0.1)


def test_lines_that_are_files_are_refused(tmp_path: Path):
    (tmp_path / "a.gt.txt").write_text("a")
    Image.new("L", (60, 30), 255).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: is no line of a page; name folders of PAGE or ALTO"):
        select(tmp_path / "out", [str(tmp_path)], frozenset({"LATIN"}))

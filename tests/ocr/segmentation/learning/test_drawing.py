import numpy as np
import pytest

from ocr.segmentation.learning.drawing import draw_page
from ocr.segmentation.learning.examples import SquareLoader, cut_square, known_page, page_ink
from ocr.segmentation.maps import draw_maps


@pytest.fixture(scope="module")
def pages():
    return [draw_page(np.random.default_rng(seed), ()) for seed in range(4)]


def test_lines_of_drawn_pages_have_ink_above_their_baselines_and_little_just_below(pages):
    above, below = [], []
    for page in pages:
        ink = page_ink(page.grey)
        for line in page.lines:
            (x0, y), (x1, _) = line.baseline
            left, right, base = round(x0), round(x1), round(y)
            tall = round(line.above / 1.75)
            above.append(ink[max(0, base - tall) : base, left:right].mean())
            below.append(ink[base + 2 : base + 2 + max(1, round(line.below / 2)), left:right].mean())
    assert np.median(above) > 3 * np.median(below)


def test_pages_differ_and_a_seed_gives_the_same_page(pages):
    again = draw_page(np.random.default_rng(0), ())
    np.testing.assert_array_equal(again.grey, pages[0].grey)
    assert again.lines == pages[0].lines
    assert len({page.grey.shape for page in pages}) > 1


def test_lines_of_a_square_stay_on_their_ink(pages):
    """The baseline of the whole page, cut and turned as an image, covers the baselines that were turned."""
    for seed in range(4):
        page = pages[seed]
        height, width = page.grey.shape
        drawn = draw_maps(page.lines, (height, width), 1.0).baseline
        square, lines = cut_square(
            (255 * drawn).astype(np.uint8), page.lines, 256, np.random.default_rng(seed)
        )
        maps = draw_maps(lines, (256, 256), 1.0)
        on = maps.baseline > 0
        if on.any():
            assert (square[on] > 20).mean() > 0.75


def test_a_batch_does_not_depend_on_where_an_epoch_was_begun(pages):
    known = [known_page(str(number), page.grey, page.lines) for number, page in enumerate(pages[:2])]
    loader = SquareLoader(known, 128, 2, 6, seed=3)
    whole = list(loader.batches(1))
    rest = list(SquareLoader(known, 128, 2, 6, seed=3).batches(1, 2))
    assert len(whole) == 3 and len(rest) == 1
    np.testing.assert_array_equal(rest[0].signals, whole[2].signals)
    np.testing.assert_array_equal(rest[0].targets, whole[2].targets)
    assert whole[0].signals.shape == (2, 128, 128) and whole[0].targets.shape == (2, 5, 64, 64)


def test_ranks_share_a_batch(pages):
    known = [known_page("0", pages[0].grey, pages[0].lines)]
    (alone,) = SquareLoader(known, 128, 3, 3, seed=3).batches(0)
    shares = [next(iter(SquareLoader(known, 128, 3, 3, 3, rank=rank, ranks=2).batches(0))) for rank in (0, 1)]
    assert [len(share.signals) for share in shares] == [2, 1]
    np.testing.assert_array_equal(shares[0].signals[1], alone.signals[2])
    assert {share.planned for share in shares} == {3}


def test_pages_to_measure_on_are_whole_and_unchanged(pages):
    known = [known_page("0", pages[0].grey, pages[0].lines)]
    (batch,) = SquareLoader(known, 128, 1, 0, seed=None).batches()
    height, width = pages[0].grey.shape
    assert batch.signals.shape[1] % 32 == 0 and batch.signals.shape[2] % 32 == 0
    np.testing.assert_allclose(batch.signals[0, :height, :width], page_ink(pages[0].grey), atol=1 / 255)

from common.command_line.counting import counted, first_of


def test_one_is_singular_and_every_other_number_plural():
    assert [counted(number, "line") for number in (0, 1, 2, 12_000)] == [
        "0 lines", "1 line", "2 lines", "12,000 lines",
    ]  # fmt: skip


def test_a_single_problem_is_not_the_first_of_some():
    assert [first_of(problems) for problems in ([], ["a"], ["a", "b"])] == [
        "", "; a", "; the first of 2 problems: a",
    ]  # fmt: skip

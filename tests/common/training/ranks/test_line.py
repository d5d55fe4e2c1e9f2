"""A line shows that its other end is gone or silent, and rank 0 answers only the ranks of its run."""

import json
import socket
import threading

import pytest

from common.training.ranks import line as lines
from common.training.ranks.line import Line, Switchboard, call_rank_zero


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "ROUND_S", 0.05)
    monkeypatch.setattr(lines, "SILENT_ROUNDS", 3)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")


def pair() -> tuple[Line, Line]:
    here, there = socket.socketpair()
    return Line(here, "there"), Line(there, "here")


def test_messages_come_whole_and_in_order_and_signs_of_life_are_none() -> None:
    here, there = pair()
    sent = [{"failed": "ä\nb", "status": 1}, {"ready": True}, {"text": "x" * 100_000}]
    sender = threading.Thread(target=lambda: [there.send(**one) for one in (sent[0], {}, *sent[1:])])
    sender.start()
    assert [here.receive() for _ in sent] == sent
    sender.join()


def test_an_end_that_is_closed_is_known_at_once_after_its_last_message() -> None:
    here, there = pair()
    there.send(finished=True)
    there._connection.close()
    assert here.receive() == {"finished": True}
    assert here.receive() is None
    here.send(ready=True)  # into nothing, which is no error


def test_an_end_without_a_sign_of_life_is_lost_and_one_with_signs_is_not() -> None:
    here, there = pair()
    alive = threading.Event()

    def live() -> None:
        for _ in range(10):  # longer than silence may last
            there.send()
            alive.wait(0.04)
        there.send(finished=True)

    threading.Thread(target=live).start()
    assert here.receive() == {"finished": True}
    with pytest.raises(TimeoutError):
        here.receive()


def test_rank_0_takes_the_lines_of_its_ranks_and_no_others() -> None:
    board = Switchboard()
    with socket.create_connection(("127.0.0.1", board.port)) as scanner, socket.socket() as stranger:
        scanner.sendall(b"GET / HTTP/1.1\r\n\r\n")
        stranger.connect(("127.0.0.1", board.port))
        stranger.sendall(json.dumps({"key": "guessed", "rank": 1, "host": "elsewhere"}).encode() + b"\n")
        called = {rank: call_rank_zero(rank, board.port, board.key, "rank 0") for rank in (2, 1)}
        answered = board.lines(3)
    assert sorted(answered) == [1, 2]
    for rank, line in answered.items():
        assert line.name.startswith(f"rank {rank} of 3 ({socket.gethostname()})")
        line.send(hello=rank)
        assert called[rank].receive() == {"hello": rank}


def test_a_rank_that_does_not_call_and_a_rank_0_that_is_not_there_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "CONNECT_S", 0.1)
    board = Switchboard()
    call_rank_zero(1, board.port, board.key, "rank 0")
    with pytest.raises(ValueError, match="rank 2 of 3 did not connect to port"):
        board.lines(3)
    with pytest.raises(ValueError, match=r"rank 2 .* cannot connect to rank 0"):
        call_rank_zero(2, board.port, board.key, "rank 0")

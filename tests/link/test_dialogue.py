# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to a board, as the thread that asks and the one that looks after the connection share them."""

import numpy as np
import pytest

from amrq.link import Dialogue, Frame, LinkSettings, MessageType

SETTINGS = LinkSettings(timeout=1.0, resends=2)
LOGITS = np.zeros((1, 2), np.float32)


def asked(patient: bool, count: int = 1) -> tuple[Dialogue, list[Frame]]:
    """Return a dialogue with some questions, sent at the time 0, and their messages."""
    dialogue = Dialogue(SETTINGS)
    dialogue.begin(patient)
    for number in range(count):
        dialogue.ask(number, Frame(type=MessageType.CLASSIFY, session=0, sequence=0, chunks=1))
    sent = dialogue.due(0.0)
    assert sent is not None and len({frame.sequence for frame in sent}) == count
    return dialogue, sent


def test_a_question_without_an_answer_is_sent_again_and_then_given_up() -> None:
    dialogue, (first,) = asked(patient=False)
    assert dialogue.due(0.9) == []
    assert dialogue.due(1.1) == dialogue.due(2.2) == [first]
    assert dialogue.due(3.3) is None
    assert dialogue.counted["resent"] == 2
    patient, (first,) = asked(patient=True)
    assert [patient.due(1.1 * times) for times in range(1, 6)] == [[first]] * 5


def test_an_answer_lets_those_asked_later_wait_anew() -> None:
    dialogue, (first, second) = asked(False, 2)
    question = dialogue.question(first.sequence)
    assert question is not None
    dialogue.answer(question, LOGITS, 0.9)
    assert dialogue.due(1.5) == []  # the board answers in order: it is the second one's turn since 0.9
    assert dialogue.due(2.0) == [second]


def test_a_board_without_room_is_asked_later_and_later() -> None:
    dialogue, (first,) = asked(False)
    now = 0.0
    for pause in (0.02, 0.04, 0.08):
        question = dialogue.question(first.sequence)
        assert question is not None
        dialogue.postpone(question, now)
        assert dialogue.due(now + 0.9 * pause) == []
        assert dialogue.next_look(now) == pytest.approx(pause)
        now += 1.1 * pause
        assert dialogue.due(now) == [first]


def test_what_was_given_up_meanwhile_does_not_reach_the_next_exchange() -> None:
    dialogue, (first,) = asked(True)
    question = dialogue.question(first.sequence)
    assert question is not None
    dialogue.end()  # the other thread takes no more answers
    exchange = dialogue.begin(True)
    question.tries = 100
    assert dialogue.try_again(question, "its scores are not finite")
    dialogue.answer(question, LOGITS, 0.5)
    assert exchange.failure is None and not exchange.answers
    assert dialogue.counted["late"] == 1
    dialogue.count_useless(first.sequence)
    dialogue.count_useless(10_000)
    assert dialogue.counted == {"late": 2, "foreign": 1, "resent": 0}


def test_a_board_that_leaves_takes_its_questions_along_unless_they_are_waited_for() -> None:
    for patient in (False, True):
        dialogue, (first,) = asked(patient)
        dialogue.board_left("runs another model")
        assert dialogue.refusal == "runs another model" and dialogue.capabilities is None
        assert (dialogue.question(first.sequence) is not None) == patient


def test_nobody_waits_for_a_thread_that_has_ended() -> None:
    dialogue, _ = asked(True)
    failure = OSError("too many open files")
    dialogue.close(failure)
    dialogue.close()
    assert dialogue.over and dialogue.error is failure
    assert not dialogue.wait_for_board(60)
    answers, over, _ = dialogue.wait(dialogue.begin(True), 0)
    assert over and not answers

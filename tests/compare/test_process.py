"""A process of its own for a system, in which it stays for all questions."""

from __future__ import annotations

import os
import pickle

import pytest
import torch

from spacy_attn.compare import process
from spacy_attn.compare.process import answer, own_process, this_process
from spacy_attn.compare.systems import MethodSystem
from spacy_attn.compare.task import Answers, Prediction
from spacy_attn.errors import ConfigError, ResourceError


def quiet(done, total):
    assert 0 <= done <= total


def always_last(task, on_progress):
    """A system of a user's own."""
    on_progress(1, 1)
    return Answers([t and Prediction(t.candidates[-1].id) for t in task.targets])


def few(task, on_progress):
    return Answers([])


def dies(task, on_progress):
    os._exit(3)


def fails(task, on_progress):
    raise KeyError(task.dataset.name)


def where_it_is(system, task, on_progress):
    """A question: process, identity of the system, how often it was prepared, threads."""
    return os.getpid(), id(system), len(system._prepared), torch.get_num_threads()


def test_a_function_in_its_own_process(task):
    held = bytearray(400_000_000)  # this process's memory is not that of the child
    told = []
    with own_process(always_last, lambda *now: told.append(now)) as ask:
        answers = ask(answer, task, "a note")
    assert [p and p.sense for p in answers.predictions] == [
        "bat.club",
        "bat.club",
        "bank.river",
        "bank.river",
        None,
    ]
    assert told == [("a note", 0, 0), ("a note", 1, 1)]
    assert 50 < answers.peak_rss_mb < len(held) / 1e6 + 150


def test_a_system_is_loaded_once_for_all_questions(task):
    with own_process(MethodSystem("lesk"), n_threads=1) as ask:
        first = ask(where_it_is, task)
        answers = ask(answer, task)
        again = ask(where_it_is, task)
    here = MethodSystem("lesk")(task, quiet)
    chosen = [[p and p.sense for p in each.predictions] for each in (answers, here)]
    assert chosen[0] == chosen[1]
    assert first[:2] == again[:2]
    assert first[0] != os.getpid()
    assert (first[2:], again[2:]) == ((0, 1), (1, 1))


def test_a_question_that_fails_leaves_the_others(task):
    with own_process(fails) as ask:
        for _ in range(2):
            with pytest.raises(ResourceError, match=r"^KeyError: 'toy' \(--debug shows where\)$"):
                ask(answer, task)


def test_a_process_that_dies(task):
    reason = "its process ended with exit code 3; see why with"
    with own_process(dies) as ask:
        for _ in range(2):
            with pytest.raises(ResourceError, match=reason):
                ask(answer, task)


def test_what_fails_is_a_sentence_and_a_trace(task):
    """The child's part, run here."""
    failure = process._reply(pickle.dumps((pickle.dumps(fails), answer, task)), quiet)
    assert failure.sentence == "KeyError: 'toy' (--debug shows where)"
    assert "raise KeyError(task.dataset.name)" in failure.trace
    failure = process._reply(pickle.dumps((pickle.dumps(few), answer, task)), quiet)
    assert failure.sentence.startswith("it answered 0 of 5 instances")
    assert process._reply(b"no pickle", quiet).sentence.startswith("UnpicklingError: ")


def test_a_process_that_was_killed():
    assert process._died(-9).startswith("its process was ended by SIGKILL, as the system does")
    assert process._died(-11).startswith("its process was ended by SIGSEGV; see why")


def test_what_no_child_can_have(task):
    reason = "cannot be sent to its own process"
    with pytest.raises(ConfigError, match=reason), own_process(lambda task, on_progress: None):
        pass
    with own_process(few) as ask, pytest.raises(ConfigError, match=reason):
        ask(lambda system, task, on_progress: None, task)


def test_in_this_process_no_memory_is_measured(task):
    with this_process(always_last) as ask:
        assert ask(answer, task).peak_rss_mb is None

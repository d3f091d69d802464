"""Signals: the first asks to stop, a later one ends the process."""

import os
import signal
import time

import pytest

from dsd.training.stop import Stop


@pytest.fixture
def killed(monkeypatch):
    """Returns the signals that would have ended this process."""
    found: list[int] = []
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(os, "kill", lambda process, number: found.append(number))
    return found


def test_the_first_signal_leaves_time_to_save_also_after_the_time_limit(killed, monkeypatch):
    stop = Stop(limit_minutes=0)
    assert stop.asked()
    stop._handle(signal.SIGTERM, None)
    assert killed == []
    later = time.monotonic() + 3
    monkeypatch.setattr(time, "monotonic", lambda: later)
    stop._handle(signal.SIGTERM, None)
    assert killed == [signal.SIGTERM]


def test_launchers_send_a_signal_twice(killed):
    stop = Stop()
    assert not stop.asked()
    for _ in range(2):
        stop._handle(signal.SIGINT, None)
    assert killed == []
    assert stop.asked()
    assert stop.reason == "SIGINT received"

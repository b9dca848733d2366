"""What is shown of long work, and columns of times."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recsys.errors import DataError
from recsys.progress import show_progress
from recsys.times import column_of_microseconds


def test_the_bar_shows_rate_and_what_was_done_before(capsys):
    with show_progress("Working", 100, enabled=True, done=40) as advance:
        advance(30)
        advance(30)
    shown = capsys.readouterr().err
    assert "Working" in shown
    assert "100/100" in shown
    assert "/s" in shown


def test_nothing_is_shown_unless_asked_for(capsys):
    with show_progress("Working", 100, enabled=False) as advance:
        advance(100)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "column",
    [
        ["2024-01-01", None, "2024-01-01T02:00:00+02:00"],
        pd.to_datetime(["2024-01-01", None, "2024-01-01"]),
        [1_704_067_200, None, 1_704_067_200.0],
    ],
)
def test_times_of_any_kind_are_microseconds_and_gaps_stay_gaps(column):
    times, missing = column_of_microseconds(pd.Series(column), "expires")
    assert missing.tolist() == [False, True, False]
    assert times[~missing].tolist() == [1_704_067_200_000_000] * 2
    assert times.dtype == np.int64


@pytest.mark.parametrize("column", [["2024-01-01", "32nd of May"], [1, "x"], [[1], [2]], [True, False]])
def test_what_is_no_time_is_named_with_its_row(column):
    with pytest.raises(DataError, match=r"`expires` must be dates.*Row \d is "):
        column_of_microseconds(pd.Series(column), "expires")

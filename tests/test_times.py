"""Lengths of time as users write them."""

from datetime import timedelta

import numpy as np
import pytest

from recsys.errors import ParameterError
from recsys.times import span_microseconds


@pytest.mark.parametrize("value", [1800, 1800.0, "1800", "1800.0", "30min", timedelta(minutes=30), np.timedelta64(30, "m")])
def test_numbers_are_seconds_also_as_text(value):
    assert span_microseconds(value, "session_gap") == 1800e6


@pytest.mark.parametrize("value", [0, -1, "0", "-5", "nan", "inf", float("nan"), True, "soon", "", None, [1]])
def test_what_is_no_positive_length_is_refused_by_name(value):
    with pytest.raises(ParameterError, match="`session_gap` must be a positive length of time such as '30D', or seconds"):
        span_microseconds(value, "session_gap")

"""Numbers and times from the bytes of text fields, and whether fields are UTF-8.

A field is text[starts[k] : ends[k]]. Kernels know the common forms only; they mark what they leave to slower code.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import kernel, part

__all__ = ["ABSENT", "OTHER_FORM", "PARSED", "TOO_LATE", "invalid_utf8", "parse_decimals", "parse_integers", "parse_times"]

PARSED, ABSENT, OTHER_FORM, TOO_LATE = 0, 1, 2, 3

# 5001-01-01 in Unix seconds: a later time means that the unit of the numbers was mistaken.
_LATEST_SECONDS = 95_649_033_600
_DAYS_BEFORE_MONTH = np.array([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])
_DAYS_IN_MONTH = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_POWERS_OF_TEN = 10.0 ** np.arange(23)
_ZEROS = np.uint64(0x3030303030303030)
_HIGH_HALVES = np.uint64(0xF0F0F0F0F0F0F0F0)
_SIXES = np.uint64(0x0606060606060606)
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_EVEN_PAIRS = np.uint64(0x0000FFFF0000FFFF)
_LOWER_HALF = np.uint64(0x00000000FFFFFFFF)


@part
def _up_to_eight_digits(text, end, n):
    """The number that the `n` digits before `end` write, -1 if they are not all digits; 1 <= n <= 8 <= end.

    Eight bytes are one word, whose first digit is the lowest byte. Its neighbours are joined: bytes to pairs, to fours, to one
    number. What stands before the digits becomes leading zeros.
    """
    word = np.uint64(0)
    for place in range(8):
        word |= np.uint64(text[np.uint64(end - 8 + place)]) << np.uint64(8 * place)
    before = np.uint64(64 - 8 * n)
    word = (word ^ _ZEROS) >> before << before
    if word & _HIGH_HALVES or (word + _SIXES) & _HIGH_HALVES:
        return np.int64(-1)
    word = (word * np.uint64(10) + (word >> np.uint64(8))) & _EVEN_BYTES
    word = (word * np.uint64(100) + (word >> np.uint64(16))) & _EVEN_PAIRS
    word = (word * np.uint64(10_000) + (word >> np.uint64(32))) & _LOWER_HALF
    return np.int64(word)


@kernel
def parse_integers(text, starts, ends, integers):
    """Fills `integers` (int64) as far as fields are integers in their one shortest form (7, -7, 0; not 007, +7, -0 or 7.0).

    Returns how many leading fields are; only if that is all of them do the numbers stand for the text without loss.
    """
    for k in range(len(starts)):
        at = starts[k]
        end = ends[k]
        negative = at < end and text[at] == 45
        at += negative
        digits = end - at
        if digits < 1 or digits > 19 or (text[at] == 48 and (digits > 1 or negative)):
            return k
        if digits <= 8 and end >= 8:
            number = _up_to_eight_digits(text, np.int64(end), np.int64(digits))
            if number < 0:
                return k
            integers[k] = -number if negative else number
            continue
        value = np.int64(0)  # kept at or below zero, where int64 reaches one further
        for place in range(at, end):
            digit = np.int64(text[place]) - 48
            if digit < 0 or digit > 9:
                return k
            if place - at == 18 and (value < -922337203685477580 or (value == -922337203685477580 and digit > 7 + negative)):
                return k
            value = value * 10 - digit
        integers[k] = value if negative else -value
    return len(starts)


@kernel
def parse_decimals(text, starts, ends, numbers, status):
    """Fills `numbers` (float64) with correctly rounded decimals of up to 15 digits and marks all other fields OTHER_FORM.

    Up to 2**53 and 10**22 are exact in float64, so one division or multiplication rounds once (W. D. Clinger, 1990).
    """
    for k in range(len(starts)):
        at = starts[k]
        end = ends[k]
        status[k] = OTHER_FORM
        if at == end:
            status[k] = ABSENT
            continue
        negative = text[at] == 45
        at += negative
        if at == end or end - at > 16:
            continue
        value = np.int64(0)
        point = np.int64(-1)
        digits = 0
        while at < end:
            byte = text[at]
            if byte == 46 and point < 0:
                point = at
            elif byte >= 48 and byte <= 57:
                value = value * 10 + (np.int64(byte) - 48)
                digits += 1
            else:
                break
            at += 1
        if at < end or digits == 0 or digits > 15:
            continue
        number = np.float64(value)
        if point >= 0:
            number /= _POWERS_OF_TEN[end - 1 - point]
        numbers[k] = -number if negative else number
        status[k] = PARSED


@part
def _digits(text, at, count, end):
    """The number that `count` digits from `at` on write, -1 if they are not all digits before `end`."""
    if at + count > end:
        return np.int64(-1)
    value = np.int64(0)
    for place in range(at, at + count):
        if text[place] < 48 or text[place] > 57:
            return np.int64(-1)
        value = value * 10 + (np.int64(text[place]) - 48)
    return value


@part
def _fraction(text, at, end, places):
    """(the first `places` decimals as an integer, where the digits end)."""
    value = np.int64(0)
    used = 0
    while at < end and text[at] >= 48 and text[at] <= 57:
        if used < places:
            value = value * 10 + (np.int64(text[at]) - 48)
            used += 1
        at += 1
    while used < places:
        value *= 10
        used += 1
    return value, at


@part
def _unix_time(text, at, end, ticks_per_second):
    """(status, microseconds) of a plain decimal number of ticks; what is finer than a microsecond is cut off."""
    negative = text[at] == 45
    at += negative
    begin = at
    whole = np.int64(0)
    while at < end and text[at] >= 48 and text[at] <= 57:
        if at - begin >= 18 and (at - begin >= 19 or whole >= 922_337_203_685_477_580):
            return TOO_LATE, np.int64(0)
        whole = whole * 10 + (np.int64(text[at]) - 48)
        at += 1
    if at == begin or (at < end and text[at] != 46):
        return OTHER_FORM, np.int64(0)
    micro = np.int64(0)
    places = 6 if ticks_per_second == 1 else (3 if ticks_per_second == 1000 else 0)
    if at < end:
        micro, at = _fraction(text, at + 1, end, places)
    if at < end:
        return OTHER_FORM, np.int64(0)
    if whole // ticks_per_second >= _LATEST_SECONDS:
        return TOO_LATE, np.int64(0)
    if ticks_per_second <= 1_000_000:
        micro += whole * (1_000_000 // ticks_per_second)
    else:
        micro = whole // (ticks_per_second // 1_000_000)
    return PARSED, -micro if negative else micro


@part
def _zone_seconds(text, at, end):
    """(seconds east of UTC, whether it is a valid zone): nothing, Z, ±hh, ±hhmm or ±hh:mm."""
    if at == end or (end - at == 1 and (text[at] == 90 or text[at] == 122)):
        return np.int64(0), True
    length = end - at
    if text[at] != 43 and text[at] != 45:
        return np.int64(0), False
    hours = _digits(text, at + 1, 2, end)
    minutes = np.int64(0)
    if length == 5 or (length == 6 and text[at + 3] == 58):
        minutes = _digits(text, end - 2, 2, end)
    elif length != 3:
        return np.int64(0), False
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return np.int64(0), False
    seconds = hours * 3600 + minutes * 60
    return -seconds if text[at] == 45 else seconds, True


@part
def _clock(text, at, end):
    """(microseconds since midnight UTC, valid) of hh, hh:mm, hh:mm:ss or hh:mm:ss.f…, followed by a zone or nothing."""
    hours = _digits(text, at, 2, end)
    at += 2
    minutes = np.int64(0)
    seconds = np.int64(0)
    micro = np.int64(0)
    if at < end and text[at] == 58:
        minutes = _digits(text, at + 1, 2, end)
        at += 3
        if minutes >= 0 and at < end and text[at] == 58:
            seconds = _digits(text, at + 1, 2, end)
            at += 3
            if seconds >= 0 and at + 1 < end and (text[at] == 46 or text[at] == 44):
                micro, at = _fraction(text, at + 1, end, 6)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59 or seconds < 0 or seconds > 59:
        return np.int64(0), False
    if at + 1 < end and text[at] == 32:
        at += 1
    east, valid = _zone_seconds(text, at, end)
    return (hours * 3600 + minutes * 60 + seconds - east) * 1_000_000 + micro, valid


@part
def _iso_time(text, at, end):
    """(status, microseconds) of an ISO 8601 date YYYY-MM-DD, alone or followed by T or a space and a clock time."""
    year = _digits(text, at, 4, end)
    if year < 1 or end - at < 10 or text[at + 4] != 45 or text[at + 7] != 45:
        return OTHER_FORM, np.int64(0)
    month = _digits(text, at + 5, 2, end)
    day = _digits(text, at + 8, 2, end)
    if month < 1 or month > 12:
        return OTHER_FORM, np.int64(0)
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    if day < 1 or day > _DAYS_IN_MONTH[month] + (leap and month == 2):
        return OTHER_FORM, np.int64(0)
    years = year - 1
    days = years * 365 + years // 4 - years // 100 + years // 400 - 719_162  # 0001-01-01 to 1970-01-01
    days += _DAYS_BEFORE_MONTH[month] + (leap and month > 2) + day - 1
    since_midnight = np.int64(0)
    at += 10
    if at < end:
        if end - at < 3 or not (text[at] == 84 or text[at] == 116 or text[at] == 32):
            return OTHER_FORM, np.int64(0)
        since_midnight, valid = _clock(text, at + 1, end)
        if not valid:
            return OTHER_FORM, np.int64(0)
    return PARSED, days * 86_400_000_000 + since_midnight


@kernel
def parse_times(text, starts, ends, ticks_per_second, microseconds, status):
    """Fills `microseconds` (int64, since 1970 UTC) from Unix times in ticks (plain decimals) and from ISO 8601 text.

    Spaces around a field do not count. Fields in other forms are marked OTHER_FORM, numbers after the year 5000 TOO_LATE.
    """
    for k in range(len(starts)):
        at = np.int64(starts[k])
        end = np.int64(ends[k])
        while at < end and text[at] == 32:
            at += 1
        while at < end and text[end - 1] == 32:
            end -= 1
        if at == end:
            status[k] = ABSENT
            continue
        outcome, value = _unix_time(text, at, end, ticks_per_second)
        if outcome == OTHER_FORM:
            outcome, value = _iso_time(text, at, end)
        microseconds[k] = value
        status[k] = outcome


@kernel
def invalid_utf8(text, starts, ends, invalid):
    """Marks in `invalid` (bool) the fields that are not UTF-8 (The Unicode Standard, table 3-7)."""
    for k in range(len(starts)):
        at = starts[k]
        end = ends[k]
        while at < end:
            byte = text[at]
            at += 1
            if byte < 0x80:
                continue
            low, high, more = 0x80, 0xBF, 1
            if byte < 0xC2 or byte > 0xF4:
                more = 5
            elif byte >= 0xF0:
                more = 3
                low = 0x90 if byte == 0xF0 else low
                high = 0x8F if byte == 0xF4 else high
            elif byte >= 0xE0:
                more = 2
                low = 0xA0 if byte == 0xE0 else low
                high = 0x9F if byte == 0xED else high
            if at + more > end or text[at] < low or text[at] > high:
                invalid[k] = True
                break
            at += 1
            for _ in range(more - 1):
                if text[at] < 0x80 or text[at] > 0xBF:
                    invalid[k] = True
                at += 1

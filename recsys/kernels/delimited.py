"""Cutting CSV and TSV bytes into records and fields (RFC 4180, with lines that end in LF or CR LF).

A field that begins with a quote runs to the closing quote and may hold delimiters, line ends and doubled quotes; a quote
anywhere else is an ordinary character.
"""

from __future__ import annotations

from recsys.kernels._jit import kernel

__all__ = ["MISPLACED_QUOTE", "WELL_FORMED", "WRONG_FIELDS", "complete_records", "count_byte", "split_records"]

WELL_FORMED, WRONG_FIELDS, MISPLACED_QUOTE = 0, 1, 2

_LF, _CR, _QUOTE = 10, 13, 34


@kernel
def count_byte(data, byte):
    """How many bytes of `data` equal `byte`."""
    n = 0
    for value in data:
        n += value == byte
    return n


@kernel
def complete_records(data, delimiter):
    """Length of the part of `data` that ends with its last complete record; `data` begins with a record."""
    n = len(data)
    complete = 0
    at = 0
    field_begins = True
    while at < n:
        byte = data[at]
        if field_begins and byte == _QUOTE:
            at += 1
            while at < n and (data[at] != _QUOTE or (at + 1 < n and data[at + 1] == _QUOTE)):
                at += 1 + (data[at] == _QUOTE)
            if at >= n:
                return complete
            field_begins = False
        else:
            field_begins = byte in (delimiter, _LF)
        at += 1
        if byte == _LF:
            complete = at
    return complete


@kernel
def split_records(data, text, delimiter, slots, begins, starts, ends, defects):
    """Finds the records of `data`, which ends with a line end, and the wanted fields in them; returns how many records.

    slots : (n_fields,) the row of `starts` and `ends` that receives a field, or -1 if the field is not wanted.
    text : where fields with doubled quotes are written without them: a copy of `data` if there are quotes in it.
    begins, defects : (room,) where each record begins; what is wrong with its form, 0 if nothing.
    starts, ends : (n_wanted, room) int32, the field's place in `text`; 0, 0 for malformed records.
    Empty lines are no records. A record whose quote is never closed is malformed and ends with its first line.
    """
    n_fields = len(slots)
    n = len(data)
    row = 0
    at = 0
    while at < n:
        if data[at] == _LF or (data[at] == _CR and data[at + 1] == _LF):
            at += 1 + (data[at] == _CR)
            continue
        begins[row] = at
        defect = 0
        field = 0
        while True:
            start = at
            if data[at] == _QUOTE:
                start += 1
                end = start
                at += 1
                while at < n and (data[at] != _QUOTE or (at + 1 < n and data[at + 1] == _QUOTE)):
                    at += data[at] == _QUOTE
                    if end != at:
                        text[end] = data[at]
                    end += 1
                    at += 1
                at += 1
                if at >= n:  # never closed: go on after the line it began in
                    defect = MISPLACED_QUOTE
                    at = begins[row]
                    while data[at] != _LF:
                        at += 1
                    break
                if not (data[at] == delimiter or data[at] == _LF or (data[at] == _CR and data[at + 1] == _LF)):
                    defect = MISPLACED_QUOTE
                    while data[at] != delimiter and data[at] != _LF:
                        at += 1
                elif data[at] == _CR:
                    at += 1
            else:
                while data[at] != delimiter and data[at] != _LF:
                    at += 1
                end = at
                if data[at] == _LF and end > start and data[end - 1] == _CR:
                    end -= 1
            if field < n_fields and slots[field] >= 0:
                starts[slots[field], row] = start
                ends[slots[field], row] = end
            field += 1
            if data[at] == _LF:
                break
            at += 1
        at += 1
        if defect == 0 and field != n_fields:
            defect = WRONG_FIELDS
        if defect != 0:
            starts[:, row] = 0
            ends[:, row] = 0
        defects[row] = defect
        row += 1
    return row

"""Ids to codes 0, 1, 2, … by order of first appearance: open-addressing hash tables over integers and over text.

`find_*` only reads a table, so several threads may call it at once; `add_*` writes and belongs to one thread. A slot
holds 0 when it is free. Tables have a power of two of slots and must stay at most half full. Integers from 0 on, up to the
length of a second table, `direct`, are looked up there without a hash: most logs count their ids.
"""

from __future__ import annotations

import numpy as np

from recsys.kernels._jit import kernel, part

__all__ = ["add_integers", "add_texts", "find_integers", "find_texts", "rehash_integers", "rehash_texts"]

# Hashes multiply numbers of 31 bits only: compiled code takes it for granted that a signed product does not overflow.
_MASK = 0x7FFFFFFF
_MULTIPLIER = 0x5851F42D
_FINAL_MULTIPLIER = 0x6C8E9CF5
_BATCH = 256
_ONE, _TWO, _THREE, _FOUR, _EIGHT = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4), np.uint64(8)


@part
def _stirred(value):
    """One step of multiplication with carry: no two of the 62-bit states it meets give the same next one."""
    return (value & _MASK) * _MULTIPLIER + (value >> 31)


@part
def _folded(value):
    """31 bits that depend on all bits of a state."""
    value = _stirred(value ^ (value >> 29))
    value = ((value ^ (value >> 32)) & _MASK) * _FINAL_MULTIPLIER
    return (value ^ (value >> 31)) & _MASK


@part
def _integer_hash(key):
    return _folded(_stirred(key & _MASK) ^ ((key >> 31) & _MASK) ^ ((key >> 33) & 0x60000000))


@part
def _word(text, at):
    """Four bytes as one number, which compiles to one load because `at` is unsigned."""
    first = np.int64(text[at]) | np.int64(text[at + _ONE]) << 8
    return first | np.int64(text[at + _TWO]) << 16 | np.int64(text[at + _THREE]) << 24


@part
def _long_word(text, at):
    """Eight bytes as one number: see `_word`."""
    return _word(text, at) | _word(text, at + _FOUR) << 32


@part
def _text_hash(text, start, end):
    at = np.uint64(start)
    stop = np.uint64(end)
    value = np.int64(end) - np.int64(start)
    while at + _FOUR <= stop:
        value = _stirred(value ^ _word(text, at))
        at += _FOUR
    rest = np.int64(0)
    while at < stop:
        rest = rest << 8 | np.int64(text[at])
        at += _ONE
    return _folded(_stirred(value ^ rest))


@kernel
def find_integers(direct, slots, known, keys, codes):
    """Fills `codes` (int32) with the code of each key, -1 for unknown ones. direct, slots: int32, code + 1."""
    mask = len(slots) - 1
    for k in range(len(keys)):
        key = keys[k]
        if key >= 0 and key < len(direct):
            codes[k] = direct[key] - 1
            continue
        slot = _integer_hash(key) & mask
        while slots[slot] != 0 and known[slots[slot] - 1] != key:
            slot = (slot + 1) & mask
        codes[k] = slots[slot] - 1


@kernel
def add_integers(direct, slots, known, n_known, keys, codes):
    """Gives each key whose code is -1 one: that of its first appearance. Appends new keys to `known`; returns n_known."""
    mask = len(slots) - 1
    for k in range(len(keys)):
        if codes[k] >= 0:
            continue
        key = keys[k]
        if key >= 0 and key < len(direct):
            table = direct
            slot = key
        else:
            table = slots
            slot = _integer_hash(key) & mask
            while slots[slot] != 0 and known[slots[slot] - 1] != key:
                slot = (slot + 1) & mask
        if table[slot] == 0:
            known[n_known] = key
            n_known += 1
            table[slot] = n_known
        codes[k] = table[slot] - 1
    return n_known


@kernel
def rehash_integers(direct, slots, known, n_known):
    """Enters known[:n_known] into the empty tables `direct` and `slots`."""
    mask = len(slots) - 1
    for code in range(n_known):
        key = known[code]
        if key >= 0 and key < len(direct):
            direct[key] = code + 1
            continue
        slot = _integer_hash(key) & mask
        while slots[slot] != 0:
            slot = (slot + 1) & mask
        slots[slot] = code + 1


@part
def _same_text(text, start, end, known_text, known_start, known_end):
    # It returns at the first difference, which is rarely there, lest the compiler make a vector loop of what is so short.
    if np.int64(end) - np.int64(start) != known_end - known_start:
        return False
    at = np.uint64(start)
    stop = np.uint64(end)
    other = np.uint64(known_start)
    while at + _EIGHT <= stop:
        if _long_word(text, at) != _long_word(known_text, other):
            return False
        at += _EIGHT
        other += _EIGHT
    if at + _FOUR <= stop:
        if _word(text, at) != _word(known_text, other):
            return False
        at += _FOUR
        other += _FOUR
    while at < stop:
        if text[at] != known_text[other]:
            return False
        at += _ONE
        other += _ONE
    return True


@part
def _text_slot(slots, known_text, known_offsets, text, start, end, tag):
    """The slot of a text, or the free one where it belongs. A slot holds tag << 32 | code + 1."""
    mask = len(slots) - 1
    slot = tag & mask
    while slots[slot] != 0:
        if slots[slot] >> 32 == tag:
            code = (slots[slot] & 0xFFFFFFFF) - 1
            if _same_text(text, start, end, known_text, known_offsets[code], known_offsets[code + 1]):
                break
        slot = (slot + 1) & mask
    return slot


@kernel
def find_texts(slots, known_text, known_offsets, text, starts, ends, codes):
    """Fills `codes` (int32) with the code of each field text[starts[k] : ends[k]], -1 for those not in the table."""
    mask = len(slots) - 1
    tags = np.empty(_BATCH, np.int64)
    entries = np.empty(_BATCH, np.int64)
    known_starts = np.empty(_BATCH, np.int64)
    known_ends = np.empty(_BATCH, np.int64)
    for first in range(0, len(starts), _BATCH):
        # One short loop for each table, without branches that are hard to foresee: in such a loop the processor waits
        # for many cache misses at once. Only fields whose first slot holds another text are then looked for in full.
        n = min(_BATCH, len(starts) - first)
        for k in range(n):
            tags[k] = _text_hash(text, starts[first + k], ends[first + k])
        for k in range(n):
            entries[k] = slots[tags[k] & mask]
        for k in range(n):
            code = max((entries[k] & 0xFFFFFFFF) - 1, 0)
            known_starts[k] = known_offsets[code]
            known_ends[k] = known_offsets[code + 1]
        for k in range(n):
            start = starts[first + k]
            end = ends[first + k]
            same = entries[k] >> 32 == tags[k]
            if not same or not _same_text(text, start, end, known_text, known_starts[k], known_ends[k]):
                entries[k] = slots[_text_slot(slots, known_text, known_offsets, text, start, end, tags[k])]
            codes[first + k] = (entries[k] & 0xFFFFFFFF) - 1


@kernel
def add_texts(slots, known_text, known_offsets, n_known, text, starts, ends, codes):
    """Gives each field whose code is -1 one: that of its first appearance. Appends new texts; returns n_known."""
    for k in range(len(starts)):
        if codes[k] >= 0:
            continue
        start = starts[k]
        end = ends[k]
        tag = _text_hash(text, start, end)
        slot = _text_slot(slots, known_text, known_offsets, text, start, end, tag)
        if slots[slot] == 0:
            to = known_offsets[n_known]
            for place in range(start, end):
                known_text[to] = text[place]
                to += 1
            n_known += 1
            known_offsets[n_known] = to
            slots[slot] = tag << 32 | n_known
        codes[k] = (slots[slot] & 0xFFFFFFFF) - 1
    return n_known


@kernel
def rehash_texts(slots, known_text, known_offsets, n_known):
    """Enters the known texts into the empty table `slots`."""
    mask = len(slots) - 1
    for code in range(n_known):
        tag = _text_hash(known_text, known_offsets[code], known_offsets[code + 1])
        slot = tag & mask
        while slots[slot] != 0:
            slot = (slot + 1) & mask
        slots[slot] = tag << 32 | (code + 1)

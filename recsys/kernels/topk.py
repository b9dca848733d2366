"""The best columns of blocks of scores, kept in one shortlist a row while the blocks pass by in any order.

A shortlist has room for more entries than are kept. What reaches its bar enters; when it is full it is cut to the best, and the
bar rises to the worst of these. So an entry costs the same however many are kept. Ties go to the lower position.
"""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from recsys.kernels._jit import fast_part, kernel, part

__all__ = [
    "cut_to",
    "keep_best",
    "keep_found",
    "mask_columns",
    "mask_sampled",
    "nth_largest",
    "renumber",
    "rescore_sorted",
]

# Scores are compared this many at a time, and what reaches the bar is read off the bits of one word.
_RUN = 64


def _compiled_bits():
    @intrinsic
    def bits(typing_context, line, start, bar):
        signature = types.int64(line, start, bar)

        def generate(context, builder, signature, values):
            vector = ir.VectorType(ir.FloatType(), _RUN)
            start = context.cast(builder, values[1], signature.args[1], types.int64)
            data = context.make_array(signature.args[0])(context, builder, values[0]).data
            scores = builder.load(builder.bitcast(builder.gep(data, [start]), vector.as_pointer()), align=4)
            undefined = ir.Constant(vector, ir.Undefined)
            value = context.cast(builder, values[2], signature.args[2], types.float32)
            one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), _RUN), [0] * _RUN)
            bars = builder.shuffle_vector(one, undefined, zeros)
            return builder.bitcast(builder.fcmp_ordered(">=", scores, bars), ir.IntType(64))

        return signature, generate

    return bits


def _plain_bits():
    return lambda line, start, bar: sum(1 << int(j) for j in np.flatnonzero(line[start : start + _RUN] >= bar))


def _compiled_lowest():
    @intrinsic
    def lowest(typing_context, bits):
        def generate(context, builder, signature, values):
            return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

        return types.int64(types.int64), generate

    return lowest


def _plain_lowest():
    return lambda bits: (bits & -bits).bit_length() - 1


_is_plain = getattr(numba.config, "DISABLE_JIT", 0)
# (line, start, bar): bit j says whether line[start + j] >= bar, float32, 64 of them.
_reaching = _plain_bits() if _is_plain else _compiled_bits()
# The place of the lowest bit that is set.
_lowest = _plain_lowest() if _is_plain else _compiled_lowest()


@part
def _sort(numbers, begin, end):
    """Sorts numbers[begin:end] (Shell sort, which compiles in a tenth of the time of NumPy's)."""
    gap = 1
    while gap < (end - begin) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for place in range(begin + gap, end):
            number, free = numbers[place], place
            while free >= begin + gap and numbers[free - gap] > number:
                numbers[free] = numbers[free - gap]
                free -= gap
            numbers[free] = number
        gap //= 3


@kernel
def renumber(indptr, indices, place, new_indptr, new_indices):
    """Rows of item positions → rising places in a catalogue; what has no place (-1) goes. Fills both new arrays."""
    filled = 0
    for row in range(len(indptr) - 1):
        new_indptr[row] = filled
        for entry in range(indptr[row], indptr[row + 1]):
            if place[indices[entry]] >= 0:
                new_indices[filled] = place[indices[entry]]
                filled += 1
        _sort(new_indices, new_indptr[row], filled)
    new_indptr[len(indptr) - 1] = filled


@kernel
def mask_columns(scores, rows, first, end, columns, cursors, ends):
    """scores[r, c - first] = -inf for each place c < end in columns[cursors[rows[r]] : ends[rows[r]]]; the cursors move on."""
    for r in range(len(rows)):
        row = rows[r]
        cursor = cursors[row]
        while cursor < ends[row] and columns[cursor] < end:
            if columns[cursor] >= first:
                scores[r, columns[cursor] - first] = -np.inf
            cursor += 1
        cursors[row] = cursor


@kernel
def mask_sampled(scores, columns, cursors, ends, sampled):
    """scores[r, sampled[c]] = -inf for each place c in columns[cursors[r] : ends[r]] that is sampled (not -1)."""
    for row in range(len(cursors)):
        for entry in range(cursors[row], ends[row]):
            if sampled[columns[entry]] >= 0:
                scores[row, sampled[columns[entry]]] = -np.inf


@kernel
def nth_largest(scores, n, found):
    """found[r] = the n-th largest of scores[r], counted from 1, equals each; -inf where there are fewer."""
    best = np.empty(n, np.float32)  # rising
    for row in range(len(found)):
        for place in range(n):
            best[place] = -np.inf
        for column in range(scores.shape[1]):
            score = scores[row, column]
            if score > best[0]:
                place = 1
                while place < n and best[place] < score:
                    best[place - 1] = best[place]
                    place += 1
                best[place - 1] = score
        found[row] = best[0]


@part
def _better(score, position, other_score, other_position):
    return score > other_score or (score == other_score and position < other_position)


@part
def _cut(scores, positions, size, kept):
    """Brings the best `kept` of the first `size` entries to the front, the worst of them in the last place (quickselect)."""
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) // 2
        pivot_score, pivot_position = scores[middle], positions[middle]
        i, j = low, high
        while i <= j:
            while _better(scores[i], positions[i], pivot_score, pivot_position):
                i += 1
            while _better(pivot_score, pivot_position, scores[j], positions[j]):
                j -= 1
            if i <= j:
                scores[i], scores[j] = scores[j], scores[i]
                positions[i], positions[j] = positions[j], positions[i]
                i += 1
                j -= 1
        if kept - 1 <= j:
            high = j
        elif kept - 1 >= i:
            low = i
        else:
            return


@kernel
def cut_to(kept, scores, positions, counts, bars):
    """Cuts each shortlist to its best `kept` entries; where there were more, the bar rises to the worst of them."""
    for row in range(len(counts)):
        if counts[row] > kept:
            _cut(scores[row], positions[row], counts[row], kept)
            counts[row] = kept
        if counts[row] == kept:
            worst = scores[row, 0]
            for place in range(1, kept):
                worst = min(worst, scores[row, place])
            bars[row] = worst


@part
def _candidates(line, start, end, bar):
    """The bits of the run from `start` on, up to `end`, whose scores reach the bar."""
    if start + _RUN <= end:
        return _reaching(line, start, bar)
    bits = 0
    for j in range(end - start):
        if line[start + j] >= bar:
            bits |= 1 << j
    return bits


@part
def _first_bar(line, end, kept, maxima, zeros):
    """A score that at least `kept` of line[:end] reach: of the largest of many short runs the kept-th; -inf without so many."""
    width = end // (2 * kept)
    if width < 2:
        return np.float32(-np.inf)
    count = min(end // width, len(maxima))
    for i in range(count):
        largest = line[i * width]
        for column in range(i * width + 1, (i + 1) * width):
            largest = max(largest, line[column])
        maxima[i] = largest
    _cut(maxima, zeros, count, kept)
    return maxima[kept - 1]


@kernel
def keep_best(scores, rows, labels, kept, best_scores, best_positions, counts, bars):
    """Enters a block of scores into the shortlists of the rows.

    scores : (>= n, >= m) float32; -inf and NaN never enter;  rows : (n,) the shortlist of each line;  labels : (m,) int32, the
    position of each column.
    best_scores, best_positions : (any, capacity > kept) the shortlists;  counts : how many entries of each are filled;
    bars : (any,) float32, what a score must reach to enter, -inf at first.
    """
    end, room = len(labels), best_scores.shape[1]
    maxima, zeros = np.empty(4 * kept, np.float32), np.zeros(4 * kept, np.int32)
    for r in range(len(rows)):
        row, line = rows[r], scores[r]
        size, bar = counts[row], bars[row]
        if size == 0:
            bar = max(bar, _first_bar(line, end, kept, maxima, zeros))
        for start in range(0, end, _RUN):
            bits = _candidates(line, start, end, bar)
            while bits:
                column = start + _lowest(bits)
                bits &= bits - 1
                score = line[column]
                if not (score >= bar and score > -np.inf):
                    continue
                if size == room:
                    _cut(best_scores[row], best_positions[row], size, kept)
                    size, bar = kept, best_scores[row, kept - 1]
                    if not score >= bar:
                        continue
                best_scores[row, size] = score
                best_positions[row, size] = labels[column]
                size += 1
        counts[row], bars[row] = size, bar


@part
def _is_among(place, columns, begin, end):
    """Whether the rising columns[begin:end] hold the place."""
    while begin < end:
        middle = (begin + end) // 2
        if columns[middle] < place:
            begin = middle + 1
        elif columns[middle] > place:
            end = middle
        else:
            return True
    return False


@fast_part
def _four_pairs(queries, rows, vectors, columns):
    """The products queries[rows[n]] @ vectors[columns[n]] of four pairs."""
    x0, x1, x2, x3 = queries[rows[0]], queries[rows[1]], queries[rows[2]], queries[rows[3]]
    y0, y1, y2, y3 = vectors[columns[0]], vectors[columns[1]], vectors[columns[2]], vectors[columns[3]]
    s0 = s1 = s2 = s3 = np.float32(0)
    for k in range(len(x0)):
        s0 += x0[k] * y0[k]
        s1 += x1[k] * y1[k]
        s2 += x2[k] * y2[k]
        s3 += x3[k] * y3[k]
    return s0, s1, s2, s3


@kernel
def keep_found(
    rows, columns, bounds, queries, vectors, first, labels, seen, cursors, ends, kept, best_scores, best_positions, counts, bars
):
    """Scores pairs that may be good enough and enters them into the shortlists.

    rows, columns : (n,) int32, pairs of `queries` and `vectors`, the latter from the place `first` on.
    bounds : (n,) float32, what their products are not above;  labels : (n_items,) int32, the position at each place.
    seen[cursors[row] : ends[row]] are the rising places that must not enter. Else as `keep_best`.
    """
    room = best_scores.shape[1]
    some_rows, some_columns, n_some = np.zeros(4, np.int32), np.zeros(4, np.int32), 0
    for n in range(len(rows) + 1):
        if n < len(rows):
            row, column = rows[n], columns[n]
            if not bounds[n] >= bars[row] or _is_among(first + column, seen, cursors[row], ends[row]):
                continue
            some_rows[n_some], some_columns[n_some] = row, column
            n_some += 1
            if n_some < 4:
                continue
        scores = _four_pairs(queries, some_rows, vectors, some_columns)
        for j in range(n_some):
            row, score = some_rows[j], scores[j]
            if not score >= bars[row]:
                continue
            size = counts[row]
            if size == room:
                _cut(best_scores[row], best_positions[row], size, kept)
                size, bars[row], counts[row] = kept, best_scores[row, kept - 1], kept
                if not score >= bars[row]:
                    continue
            best_scores[row, size] = score
            best_positions[row, size] = labels[first + some_columns[j]]
            counts[row] = size + 1
        n_some = 0


@fast_part
def _four_exact_dots(items, a, b, c, d, query):
    """items[[a, b, c, d]] @ query in float64"""
    y0, y1, y2, y3 = items[a], items[b], items[c], items[d]
    s0 = s1 = s2 = s3 = 0.0
    for k in range(len(query)):
        x = np.float64(query[k])
        s0 += np.float64(y0[k]) * x
        s1 += np.float64(y1[k]) * x
        s2 += np.float64(y2[k]) * x
        s3 += np.float64(y3[k]) * x
    return s0, s1, s2, s3


@part
def _sink(scores, positions, place, size):
    """Restores a heap whose root is its worst entry, after the one at `place` became better."""
    while True:
        child = 2 * place + 1
        if child >= size:
            return
        if child + 1 < size and _better(scores[child], positions[child], scores[child + 1], positions[child + 1]):
            child += 1
        if _better(scores[child], positions[child], scores[place], positions[place]):
            return
        scores[place], scores[child] = scores[child], scores[place]
        positions[place], positions[child] = positions[child], positions[place]
        place = child


@kernel
def rescore_sorted(queries, items, best_scores, best_positions, counts):
    """Replaces each shortlist's scores by float64 dot products (rounded once) and sorts it, best first, in place.

    Another order of sums rounds the same pair differently; these scores depend on the pair alone.
    """
    for row in range(len(counts)):
        size = counts[row]
        scores, positions = best_scores[row], best_positions[row]
        for place in range(0, size, 4):
            # Always four together, the last one repeated: another loop for the remainder could round otherwise.
            b, c, d = min(place + 1, size - 1), min(place + 2, size - 1), min(place + 3, size - 1)
            dots = _four_exact_dots(items, positions[place], positions[b], positions[c], positions[d], queries[row])
            scores[place], scores[b], scores[c], scores[d] = dots[0], dots[1], dots[2], dots[3]
        for place in range(size // 2 - 1, -1, -1):
            _sink(scores, positions, place, size)
        for last in range(size - 1, 0, -1):  # the worst goes to the end
            scores[0], scores[last] = scores[last], scores[0]
            positions[0], positions[last] = positions[last], positions[0]
            _sink(scores, positions, 0, last)

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

from recsys.kernels._jit import kernel, part

__all__ = [
    "cut_to",
    "keep_best",
    "keep_found",
    "mask_columns",
    "mask_sampled",
    "nth_largest",
    "renumber",
    "rescore",
    "sort_lists",
]

# Scores are compared this many at a time, and what reaches the bar is read off the bits of one word.
_RUN = 64
# Of a catalogue, by which places are sorted.
_PARTS = 1024
# Vectors are multiplied four pairs at a time.
_PAIRS = 4


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


def _emit_products(builder, vectors, length, totals):
    """Emits  totals[n] = Σ vectors[n][0] · vectors[n][1]  over pairs of float32 vectors, in float64.

    Four sums a pair, of every fourth coordinate each, and one of those that are left: always the same order. The product
    of two float32 numbers is exact in float64, so that fusing it with the sum rounds no differently.
    """
    word, single, double = ir.IntType(64), ir.FloatType(), ir.DoubleType()
    four, wide = ir.VectorType(single, 4), ir.VectorType(double, 4)
    step, zero, zeros = ir.Constant(word, 4), ir.Constant(double, 0), ir.Constant(wide, [0] * 4)
    end = builder.and_(length, ir.Constant(word, ~3))

    def add_up(start, until, by, first, numbers, wide_numbers):
        """The sums and the block where they are known."""
        before = builder.block
        test, loop, after = (builder.append_basic_block(name) for name in ("sum", "sum_more", "summed"))
        builder.branch(test)
        builder.position_at_end(test)
        k, sums = builder.phi(word), [builder.phi(wide_numbers) for _ in vectors]
        builder.cbranch(builder.icmp_signed("<", k, until), loop, after)
        builder.position_at_end(loop)
        more = []
        for total, pair in zip(sums, vectors, strict=True):
            places = [builder.bitcast(builder.gep(vector, [k]), numbers.as_pointer()) for vector in pair]
            x, y = (builder.fpext(builder.load(place, align=4), wide_numbers) for place in places)
            more.append(builder.fadd(total, builder.fmul(x, y, flags=["contract"]), flags=["contract"]))
        k.add_incoming(start, before)
        k.add_incoming(builder.add(k, by), loop)
        for total, initial, following in zip(sums, first, more, strict=True):
            total.add_incoming(initial, before)
            total.add_incoming(following, loop)
        builder.branch(test)
        builder.position_at_end(after)
        return sums

    lanes = add_up(ir.Constant(word, 0), end, step, [zeros] * len(vectors), four, wide)
    rests = add_up(end, length, ir.Constant(word, 1), [zero] * len(vectors), single, double)
    for n, (sums, rest) in enumerate(zip(lanes, rests, strict=True)):
        lane = [builder.extract_element(sums, ir.Constant(ir.IntType(32), place)) for place in range(4)]
        total = builder.fadd(builder.fadd(lane[0], lane[2]), builder.fadd(lane[1], lane[3]))
        builder.store(builder.fadd(total, rest), builder.gep(totals, [ir.Constant(word, n)]))


def _compiled_products():
    @intrinsic
    def products(typing_context, queries, rows, items, columns, totals):
        signature = types.void(queries, rows, items, columns, totals)

        def generate(context, builder, signature, values):
            arrays = [
                context.make_array(kind)(context, builder, value) for kind, value in zip(signature.args, values, strict=True)
            ]
            word, byte = ir.IntType(64), ir.IntType(8)

            def vector(side, n):
                of, places = arrays[2 * side], arrays[2 * side + 1]
                place = builder.sext(builder.load(builder.gep(places.data, [ir.Constant(word, n)])), word)
                offset = builder.mul(place, builder.extract_value(of.strides, 0))
                start = builder.gep(builder.bitcast(of.data, byte.as_pointer()), [offset])
                return builder.bitcast(start, ir.FloatType().as_pointer())

            length = builder.extract_value(arrays[0].shape, 1)
            _emit_products(builder, [(vector(0, n), vector(1, n)) for n in range(_PAIRS)], length, arrays[4].data)
            return context.get_dummy_value()

        return signature, generate

    return products


def _plain_products():
    def products(queries, rows, items, columns, totals):
        totals[:] = (queries[rows].astype(np.float64) * items[columns]).sum(axis=1)

    return products


_is_plain = getattr(numba.config, "DISABLE_JIT", 0)
# (line, start, bar): bit j says whether line[start + j] >= bar, float32, 64 of them.
_reaching = _plain_bits() if _is_plain else _compiled_bits()
# (queries, rows, items, columns, totals): totals[n] = queries[rows[n]] @ items[columns[n]] in float64, of four pairs, which
# depend on the pair alone. Vectors are float32, C-contiguous, places int32.
_set_products = _plain_products() if _is_plain else _compiled_products()
# The place of the lowest bit that is set.
_lowest = _plain_lowest() if _is_plain else _compiled_lowest()


@kernel
def renumber(indptr, indices, rows, place, begins, ends, places):
    """The items indices[indptr[row] : indptr[row + 1]] of some rows as rising places in a catalogue; what has none (-1) goes.

    rows, begins, ends : (n,) int64, the latter filled: places[begins[r] : ends[r]] are those of row rows[r].
    """
    # All pairs by parts of the catalogue first, then each at the end of its row, near which it belongs.
    width = len(place) // _PARTS + 1
    firsts = np.zeros(_PARTS + 1, np.int64)
    filled = 0
    for r in range(len(rows)):
        begins[r] = ends[r] = filled
        for entry in range(indptr[rows[r]], indptr[rows[r] + 1]):
            if place[indices[entry]] >= 0:
                firsts[place[indices[entry]] // width + 1] += 1
                filled += 1
    for part_of in range(_PARTS):
        firsts[part_of + 1] += firsts[part_of]
    pairs = np.empty((filled, 2), np.int32)
    for r in range(len(rows)):
        for entry in range(indptr[rows[r]], indptr[rows[r] + 1]):
            found = place[indices[entry]]
            if found >= 0:
                to = firsts[found // width]
                firsts[found // width] = to + 1
                pairs[to, 0], pairs[to, 1] = r, found
    for n in range(filled):
        r, found = pairs[n]
        free = ends[r]
        ends[r] = free + 1
        while free > begins[r] and places[free - 1] > found:
            places[free] = places[free - 1]
            free -= 1
        places[free] = found


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


@kernel
def keep_found(
    rows, columns, bounds, queries, vectors, labels, seen, cursors, ends, kept, best_scores, best_positions, counts, bars
):
    """Scores pairs that may be good enough, as `rescore` does, and enters them into the shortlists.

    rows, columns : (n,) int32, pairs of `queries` and `vectors`; columns rise within a row, and from call to call.
    bounds : (n,) float32, what their products are not above;  labels : int32, the position at each place.
    seen[cursors[row] : ends[row]] are the rising places that must not enter; the cursors move on. Else as `keep_best`.
    """
    room = best_scores.shape[1]
    some_rows, some_columns, n_some = np.zeros(_PAIRS, np.int32), np.zeros(_PAIRS, np.int32), 0
    products = np.empty(_PAIRS, np.float64)
    for n in range(len(rows) + 1):
        if n < len(rows):
            row, column = rows[n], columns[n]
            if not bounds[n] >= bars[row]:
                continue
            cursor, end = cursors[row], ends[row]
            while cursor < end and seen[cursor] < column:
                cursor += 1
            cursors[row] = cursor
            if cursor < end and seen[cursor] == column:
                continue
            some_rows[n_some], some_columns[n_some] = row, column
            n_some += 1
            if n_some < _PAIRS:
                continue
        _set_products(queries, some_rows, vectors, some_columns, products)
        for j in range(n_some):
            row, score = some_rows[j], np.float32(products[j])
            if not score >= bars[row]:
                continue
            size = counts[row]
            if size == room:
                _cut(best_scores[row], best_positions[row], size, kept)
                size, bars[row], counts[row] = kept, best_scores[row, kept - 1], kept
                if not score >= bars[row]:
                    continue
            best_scores[row, size] = score
            best_positions[row, size] = labels[some_columns[j]]
            counts[row] = size + 1
        n_some = 0


@kernel
def rescore(queries, items, best_scores, best_positions, counts):
    """Replaces each shortlist's scores by float64 dot products, rounded once, in place: they depend on the pair alone."""
    rows, columns, products = np.empty(_PAIRS, np.int32), np.empty(_PAIRS, np.int32), np.empty(_PAIRS, np.float64)
    for row in range(len(counts)):
        for place in range(0, counts[row], _PAIRS):
            for j in range(_PAIRS):
                rows[j], columns[j] = row, best_positions[row, min(place + j, counts[row] - 1)]
            _set_products(queries, rows, items, columns, products)
            for j in range(min(_PAIRS, counts[row] - place)):
                best_scores[row, place + j] = products[j]


@kernel
def sort_lists(best_scores, best_positions, counts):
    """Sorts each shortlist, best first, in place (Shell sort)."""
    for row in range(len(counts)):
        scores, positions = best_scores[row], best_positions[row]
        gap = 1
        while gap < counts[row] // 3:
            gap = 3 * gap + 1
        while gap > 0:
            for place in range(gap, counts[row]):
                score, position, free = scores[place], positions[place], place
                while free >= gap and _better(score, position, scores[free - gap], positions[free - gap]):
                    scores[free], positions[free] = scores[free - gap], positions[free - gap]
                    free -= gap
                scores[free], positions[free] = score, position
            gap //= 3

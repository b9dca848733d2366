"""Scores that are weighted sums over a row's own entries: score(r, i) = offset_i + Σ_{j of r} w_rj · B_ji. And how B is learnt.

The sums run in float64, over a row's entries in their order, and are rounded once: a product of two float32 numbers is exact
there, so a score depends on its row and item alone, whatever is computed beside it and whichever kernel computes it. Of equal
scores the lower position comes first.

Rows are given as indptr, indices, weights;  B as a dense (m, m) array or as rows w_indptr, w_indices (rising), w_values.
"""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from recsys.kernels._jit import kernel, part

__all__ = [
    "TILE",
    "carried_dense",
    "carried_sparse",
    "gather_columns",
    "keep_dense",
    "keep_positive",
    "keep_sparse",
    "multiply_by_item",
    "nearest_items",
    "pairs_dense",
    "pairs_sparse",
    "rows_dense",
    "rows_sparse",
    "sort_lists",
]

# Sums that stay in registers while a row's entries pass: eight doubles, four times.
_LANES, _VECTORS = 8, 4
TILE = _LANES * _VECTORS


# ---- lists: heaps whose root is their worst entry ------------------------------------------------------------------


@part
def _better(score, position, other_score, other_position):
    return score > other_score or (score == other_score and position < other_position)


@part
def _sink(scores, positions, place, size):
    """Restores the heap after the entry at `place` became better."""
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


@part
def _enter(score, position, scores, positions, size):
    """Enters what is good enough into a heap that holds `size` entries; returns how many it holds then."""
    if size == len(scores):
        if size and _better(score, position, scores[0], positions[0]):
            scores[0], positions[0] = score, position
            _sink(scores, positions, 0, size)
        return size
    place = size
    while place > 0:
        parent = (place - 1) // 2
        if not _better(scores[parent], positions[parent], score, position):
            break
        scores[place], positions[place] = scores[parent], positions[parent]
        place = parent
    scores[place], positions[place] = score, position
    return size + 1


@kernel
def sort_lists(begin, end, scores, positions, counts):
    """Sorts the heaps of rows begin … end - 1 in place, best first."""
    for row in range(begin, end):
        for last in range(counts[row] - 1, 0, -1):  # the worst goes to the end
            scores[row, 0], scores[row, last] = scores[row, last], scores[row, 0]
            positions[row, 0], positions[row, last] = positions[row, last], positions[row, 0]
            _sink(scores[row], positions[row], 0, last)


@part
def _place_of(column, columns, begin, end):
    """Where `column` stands in the rising columns[begin:end]; -1 where it does not."""
    low, high = begin, end
    while low < high:
        middle = (low + high) // 2
        if columns[middle] < column:
            low = middle + 1
        else:
            high = middle
    return low if low < end and columns[low] == column else -1


# ---- dense weights ----------------------------------------------------------------------------------------------


@kernel
def gather_columns(begin, end, weights, rows, columns, gathered):
    """gathered[begin:end] = weights[rows[begin:end]][:, columns], and 0 in what `gathered` is wider; the columns rise."""
    n, first = len(columns), columns[0]
    together = columns[n - 1] - first == n - 1
    for place in range(begin, end):
        line, row = gathered[place], weights[rows[place]]
        if together:
            # line[:n] = row[first : first + n], which numba would compile for seconds.
            for column in range(n):
                line[column] = row[first + column]
        else:
            for column in range(n):
                line[column] = row[columns[column]]
        line[n:] = 0


def _emit_sums(builder, lines, start, width, indices, weights, first, last, sums):
    """Emits  sums[k] = Σ weights[e] · lines[indices[e] · width + start + k]  for k < TILE, over the entries first … last - 1.

    Written in LLVM's instructions, since a compiler keeps the sums in memory: it can not know that they are nowhere else.
    """
    word, double = ir.IntType(64), ir.DoubleType()
    floats, doubles = ir.VectorType(ir.FloatType(), _LANES), ir.VectorType(double, _LANES)
    name = f"llvm.fmuladd.v{_LANES}f64"
    fused = builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(doubles, [doubles] * 3), name)
    undefined, zero = ir.Constant(doubles, ir.Undefined), ir.Constant(doubles, [0.0] * _LANES)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
    before, loop, after = builder.block, builder.append_basic_block("entry"), builder.append_basic_block("entries_done")
    builder.cbranch(builder.icmp_signed("<", first, last), loop, after)
    builder.position_at_end(loop)
    entry, totals = builder.phi(word), [builder.phi(doubles) for _ in range(_VECTORS)]
    line = builder.sext(builder.load(builder.gep(indices, [entry])), word)
    weight = builder.fpext(builder.load(builder.gep(weights, [entry])), double)
    weight = builder.insert_element(undefined, weight, ir.Constant(ir.IntType(32), 0))
    weight = builder.shuffle_vector(weight, undefined, everywhere)
    values = builder.gep(lines, [builder.add(builder.mul(line, width), start)])
    added = []
    for v, total in enumerate(totals):
        place = builder.bitcast(builder.gep(values, [ir.Constant(word, v * _LANES)]), floats.as_pointer())
        added.append(builder.call(fused, [weight, builder.fpext(builder.load(place, align=4), doubles), total]))
    following = builder.add(entry, ir.Constant(word, 1))
    for phi, at_first, later in [(entry, first, following), *((t, zero, a) for t, a in zip(totals, added, strict=True))]:
        phi.add_incoming(at_first, before)
        phi.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", following, last), loop, after)
    builder.position_at_end(after)
    for v, total in enumerate(added):
        result = builder.phi(doubles)
        result.add_incoming(zero, before)
        result.add_incoming(total, loop)
        added[v] = result
    for v, result in enumerate(added):
        place = builder.gep(sums, [ir.Constant(word, v * _LANES)])
        builder.store(result, builder.bitcast(place, doubles.as_pointer()), align=8)


def _compiled_sums():
    @intrinsic
    def tile_sums(typing_context, lines, start, width, indices, weights, first, last, sums):
        signature = types.void(lines, start, width, indices, weights, first, last, sums)

        def generate(context, builder, signature, values):
            def word(place):
                return context.cast(builder, values[place], signature.args[place], types.int64)

            def pointer(place):
                return context.make_array(signature.args[place])(context, builder, values[place]).data

            first, last = word(5), word(6)
            _emit_sums(builder, pointer(0), word(1), word(2), pointer(3), pointer(4), first, last, pointer(7))
            return context.get_dummy_value()

        return signature, generate

    return tile_sums


def _plain_sums():
    def tile_sums(lines, start, width, indices, weights, first, last, sums):
        sums[:] = 0
        for entry in range(first, last):
            sums += np.float64(weights[entry]) * lines[indices[entry], start : start + TILE].astype(np.float64)

    return tile_sums


# (lines, start, width, indices, weights, first, last, sums): C-contiguous arrays of float32, int32 and, for sums, float64.
_tile_sums = (_plain_sums if getattr(numba.config, "DISABLE_JIT", 0) else _compiled_sums)()


@part
def _add_entries(first, last, indices, weights, lines, sums):
    """sums[:] = Σ weights[e] · lines[indices[e]] over the entries first … last - 1, in their order."""
    sums[:] = 0.0
    entry = first
    # Four at a time, so that the sums are loaded and stored less often; added one after the other, as one at a time.
    while entry + 4 <= last:
        a, b, c, d = (
            lines[indices[entry]], lines[indices[entry + 1]], lines[indices[entry + 2]], lines[indices[entry + 3]]
        )  # fmt: skip
        w, x, y, z = weights[entry], weights[entry + 1], weights[entry + 2], weights[entry + 3]
        w, x, y, z = np.float64(w), np.float64(x), np.float64(y), np.float64(z)
        for k in range(len(sums)):
            total = sums[k] + w * np.float64(a[k])
            total = total + x * np.float64(b[k])
            total = total + y * np.float64(c[k])
            sums[k] = total + z * np.float64(d[k])
        entry += 4
    while entry < last:
        a, w = lines[indices[entry]], np.float64(weights[entry])
        for k in range(len(sums)):
            sums[k] += w * np.float64(a[k])
        entry += 1


@part
def _reaches(scores, end, bar):
    found = np.int32(0)
    for k in range(end):
        found |= np.int32(scores[k] >= bar)
    return found


@kernel
def keep_dense(
    begin, end, indptr, indices, weights, lines, labels, offsets, seen_indptr, seen_indices, best_scores, best_positions, counts
):  # fmt: skip
    """Enters the scores of some items into the lists of rows begin … end - 1.

    lines : (any, width) float32, columns of B, in rows as `indices` numbers them, as many as a whole number of tiles holds.
    labels, offsets : (n <= width,) the positions and offsets of the columns; others are not looked at.
    seen : rows of rising positions that must not appear.
    best_scores, best_positions : (rows, k) heaps, of which `counts` entries are filled.
    """
    n, width, k = len(labels), lines.shape[1], best_scores.shape[1]
    sums, scores = np.empty(TILE, np.float64), np.empty(TILE, np.float32)
    for row in range(begin, end):
        size = counts[row]
        for start in range(0, n, TILE):
            _tile_sums(lines, start, width, indices, weights, indptr[row], indptr[row + 1], sums)
            stop = min(TILE, n - start)
            for column in range(stop):
                scores[column] = np.float32(sums[column] + offsets[start + column])
            if size == k and not _reaches(scores, stop, best_scores[row, 0]):
                continue
            for column in range(stop):
                if size == k and not scores[column] >= best_scores[row, 0]:
                    continue
                label = labels[start + column]
                if _place_of(label, seen_indices, seen_indptr[row], seen_indptr[row + 1]) < 0:
                    size = _enter(scores[column], label, best_scores[row], best_positions[row], size)
        counts[row] = size


@kernel
def keep_positive(weights, best_scores, best_positions, counts):
    """Fills the list of each line of `weights` (n, m) with its largest values above 0, best first."""
    for row in range(len(weights)):
        scores, positions, size = best_scores[row], best_positions[row], 0
        for item in range(weights.shape[1]):
            if weights[row, item] > 0:
                size = _enter(weights[row, item], np.int32(item), scores, positions, size)
        counts[row] = size
    sort_lists(0, len(weights), best_scores, best_positions, counts)


@kernel
def rows_dense(begin, end, indptr, indices, weights, lines, offsets, scores):
    """scores[begin:end] = offsets + rows @ B, for every item."""
    sums = np.empty(len(offsets), np.float64)
    for row in range(begin, end):
        _add_entries(indptr[row], indptr[row + 1], indices, weights, lines, sums)
        for item in range(len(sums)):
            scores[row, item] = np.float32(sums[item] + offsets[item])


@kernel
def pairs_dense(begin, end, rows, columns, indptr, indices, weights, lines, offsets, scores):
    """scores[p] = offsets[columns[p]] + Σ_j w_rj · B[j, columns[p]] with r = rows[p], for begin <= p < end."""
    for pair in range(begin, end):
        row, column, total = rows[pair], columns[pair], 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            total += np.float64(weights[entry]) * np.float64(lines[indices[entry], column])
        scores[pair] = np.float32(total + offsets[column])


# ---- sparse weights -----------------------------------------------------------------------------------------------


@part
def _add_sparse(first, last, indices, weights, w_indptr, w_indices, w_values, mark, marks, sums, touched):
    """sums[i] = Σ weights[e] · B[indices[e], i] for the items i that an entry reaches; these are marked and listed.

    Items that have the mark already are not listed. Returns how many were."""
    n_touched = 0
    for entry in range(first, last):
        weight, begin, end = np.float64(weights[entry]), w_indptr[indices[entry]], w_indptr[indices[entry] + 1]
        columns, values = w_indices[begin:end], w_values[begin:end]
        for place in range(len(columns)):
            item = np.uint32(columns[place])
            if marks[item] != mark:
                marks[item] = mark
                sums[item] = 0.0
                touched[n_touched] = item
                n_touched += 1
            sums[item] += weight * np.float64(values[place])
    return n_touched


@part
def _enter_touched(touched, sums, offsets, allowed, scores, positions, size):
    """Enters the listed items; returns the size of the list."""
    k, everything = len(scores), len(allowed) == 0
    bar = scores[0] if size == k else np.float32(-np.inf)
    for place in range(len(touched)):
        item = np.uint32(touched[place])
        score = np.float32(sums[item] + offsets[item])
        if score >= bar and (everything or allowed[item]):
            size = _enter(score, touched[place], scores, positions, size)
            bar = scores[0] if size == k else bar
    return size


@kernel
def keep_sparse(
    begin, end, indptr, indices, weights, w_indptr, w_indices, w_values, offsets, by_offset, allowed, seen_indptr, seen_indices,
    best_scores, best_positions, counts,
):  # fmt: skip
    """Fills the lists of rows begin … end - 1. Only items that an entry reaches are looked at, and the best of the others.

    allowed : (m,) bool, or empty for all;  by_offset : the allowed items in falling order of offset, ties by position. Else as
    `keep_dense`.
    """
    m, k = len(offsets), best_scores.shape[1]
    sums, touched, marks = np.empty(m, np.float64), np.empty(m, np.int32), np.full(m, -1, np.int32)
    for row in range(begin, end):
        mark = np.int32(row - begin)
        for place in range(seen_indptr[row], seen_indptr[row + 1]):
            marks[seen_indices[place]] = mark
            sums[seen_indices[place]] = 0.0
        n_touched = _add_sparse(
            indptr[row], indptr[row + 1], indices, weights, w_indptr, w_indices, w_values, mark, marks, sums, touched
        )
        scores, positions = best_scores[row], best_positions[row]
        size = _enter_touched(touched[:n_touched], sums, offsets, allowed, scores, positions, counts[row])
        # The others score their offset: of these k are enough.
        taken = 0
        for item in by_offset:
            score = np.float32(offsets[item])
            if taken == k or (size == k and not score >= scores[0]):
                break
            if marks[item] != mark:
                size = _enter(score, item, scores, positions, size)
                taken += 1
        counts[row] = size


@kernel
def rows_sparse(begin, end, indptr, indices, weights, w_indptr, w_indices, w_values, offsets, scores):
    """As `rows_dense`."""
    sums = np.empty(len(offsets), np.float64)
    for row in range(begin, end):
        sums[:] = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            weight = np.float64(weights[entry])
            for place in range(w_indptr[indices[entry]], w_indptr[indices[entry] + 1]):
                sums[w_indices[place]] += weight * np.float64(w_values[place])
        for item in range(len(sums)):
            scores[row, item] = np.float32(sums[item] + offsets[item])


@kernel
def pairs_sparse(begin, end, rows, columns, indptr, indices, weights, w_indptr, w_indices, w_values, offsets, scores):
    """As `pairs_dense`."""
    for pair in range(begin, end):
        row, column, total = rows[pair], columns[pair], 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            place = _place_of(column, w_indices, w_indptr[indices[entry]], w_indptr[indices[entry] + 1])
            if place >= 0:
                total += np.float64(weights[entry]) * np.float64(w_values[place])
        scores[pair] = np.float32(total + offsets[column])


# ---- reasons ------------------------------------------------------------------------------------------------------


@part
def _enter_reason(amount, item, amounts, items, found):
    """Enters a positive amount into the sorted amounts[:found], after those that are as large; returns how many there are."""
    if not amount > 0 or (found == len(amounts) and amount <= amounts[found - 1]):
        return found
    slot = min(found, len(amounts) - 1)
    while slot > 0 and amounts[slot - 1] < amount:
        amounts[slot], items[slot] = amounts[slot - 1], items[slot - 1]
        slot -= 1
    amounts[slot], items[slot] = amount, item
    return min(found + 1, len(amounts))


@kernel
def carried_dense(begin, end, indptr, indices, weights, lines, listed, counts, own, amounts, n_own):
    """For each item i that a row lists, the row's entries j of largest positive w_rj · B_ji, equal ones in order of entry.

    listed : (rows, k), counts : (rows,) the lists. Fills own, amounts (rows, k, reasons) and n_own (rows, k).
    """
    for row in range(begin, end):
        for place in range(counts[row]):
            found = 0
            for entry in range(indptr[row], indptr[row + 1]):
                amount = np.float64(weights[entry]) * np.float64(lines[indices[entry], listed[row, place]])
                found = _enter_reason(amount, indices[entry], amounts[row, place], own[row, place], found)
            n_own[row, place] = found


@kernel
def carried_sparse(
    begin, end, indptr, indices, weights, w_indptr, w_indices, w_values, listed, counts, own, amounts, n_own
):  # fmt: skip
    """As `carried_dense`."""
    for row in range(begin, end):
        for place in range(counts[row]):
            found = 0
            for entry in range(indptr[row], indptr[row + 1]):
                item = indices[entry]
                there = _place_of(listed[row, place], w_indices, w_indptr[item], w_indptr[item + 1])
                if there >= 0:
                    amount = np.float64(weights[entry]) * np.float64(w_values[there])
                    found = _enter_reason(amount, item, amounts[row, place], own[row, place], found)
            n_own[row, place] = found


# ---- learning -----------------------------------------------------------------------------------------------------


@kernel
def multiply_by_item(begin, end, item_indptr, item_rows, item_weights, indptr, indices, weights, product):
    """product[begin:end] = (Rᵀ R)[begin:end], dense float32, of the matrix R given by item and by row."""
    sums = np.empty(product.shape[1], np.float64)
    for item in range(begin, end):
        sums[:] = 0.0
        for place in range(item_indptr[item], item_indptr[item + 1]):
            row, weight = item_rows[place], np.float64(item_weights[place])
            for entry in range(indptr[row], indptr[row + 1]):
                sums[indices[entry]] += weight * np.float64(weights[entry])
        for other in range(len(sums)):
            product[item, other] = np.float32(sums[other])


@kernel
def nearest_items(
    begin, end, item_indptr, item_rows, item_weights, indptr, indices, weights, lengths_sizes, of_union, shrink,
    scores, positions, counts,
):  # fmt: skip
    """Fills the lists of the items begin … end - 1 with the others that are most alike, of likeness above 0.

    With n_ij = Σ_u r_ui r_uj the likeness is  n_ij / (lengths_i · lengths_j + of_union · (sizes_i + sizes_j - n_ij) + shrink),
    in float64 rounded once.  lengths_sizes : (m, 2) float64;  scores, positions : (m, k) heaps.
    """
    m, k = len(lengths_sizes), scores.shape[1]
    sums, touched, marks = np.empty(m, np.float64), np.empty(m, np.int32), np.full(m, -1, np.int32)
    for item in range(begin, end):
        marks[item] = item
        sums[item] = 0.0
        n_touched = _add_sparse(
            item_indptr[item], item_indptr[item + 1], item_rows, item_weights, indptr, indices, weights, np.int32(item), marks,
            sums, touched,
        )  # fmt: skip
        length, own_size, size, bar = lengths_sizes[item, 0], lengths_sizes[item, 1], 0, 0.0
        for place in range(n_touched):
            other = np.uint32(touched[place])
            shared = sums[other]
            union = own_size + lengths_sizes[other, 1] - shared
            whole = length * lengths_sizes[other, 0] + of_union * union + shrink
            # shared / whole >= bar, without a division and with room for rounding.
            if not shared > 0 or shared < bar * whole:
                continue
            size = _enter(np.float32(shared / whole), touched[place], scores[item], positions[item], size)
            if size == k and k:
                bar = np.float64(scores[item, 0]) * (1 - 1e-6)
        counts[item] = size

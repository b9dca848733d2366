"""Inner products bounded from codes of 7 and 8 bits: which pairs of rows and columns could reach a bar.

Small whole numbers are multiplied several times as fast as floats, and what they leave out of a product is bounded by the
lengths of what they leave out of both vectors. Rows have codes from -63 to 63, kept as 1 to 127, and columns from -127 to 127
in steps that a panel of columns shares. The innermost loop is written in LLVM's own instructions: products of two bytes are
added up as 16-bit numbers, four of them, and the columns' steps are chosen so that these do not overflow.
"""

from __future__ import annotations

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from recsys.kernels._jit import kernel, part

__all__ = [
    "DEPTH",
    "MULTIPLIES_BYTES",
    "PANEL",
    "TILE_ROWS",
    "code_columns",
    "code_rows",
    "possible_pairs",
    "products_of_codes",
]


def _lanes() -> tuple[int, str]:
    """32-bit numbers in a vector register, and whose instructions multiply pairs of bytes: "avx512", "avx2" or nobody's, ""."""
    features = llvmlite.binding.get_host_cpu_features()
    # Other processors with 512-bit registers run slower when they are used, and LLVM avoids them there.
    if features.get("avx512bw") and llvmlite.binding.get_host_cpu_name() in ("znver4", "znver5"):
        return 16, "avx512"
    return (8, "avx2") if features.get("avx2") else (4, "")


_LANES, _INSTRUCTIONS = _lanes()
MULTIPLIES_BYTES = bool(_INSTRUCTIONS)
"""Whether this processor multiplies codes faster than floats. Where not, everything here works all the same."""
# Sums that fit the registers beside the codes that are multiplied.
TILE_ROWS, _VECTORS = (8, 2) if _LANES == 16 else (4, 2)
PANEL = _VECTORS * _LANES
# Coordinates are multiplied so many at a time: whole vectors are padded to a multiple of it.
DEPTH = 8
# Panels that pass by a tile of rows while they lie in the first-level cache.
_NEAR_PANELS = 8

_MOST_OF_ROWS, _ZERO_OF_ROWS, _MOST_OF_COLUMNS = 63, 64, 127
# 127 · 258 fits 16 bits; rounding may add 2 to four codes.
_MOST_OF_FOUR = 256
_LOWEST, _FLOOR, _ROUNDED = -(2**31), np.float32(-2e9), np.float32(1e-6)


def _pairs_of_bytes(builder, unsigned, signed):
    """Sums of products of neighbouring bytes, as 16-bit numbers."""
    if _INSTRUCTIONS:
        name = {"avx2": "llvm.x86.avx2.pmadd.ub.sw", "avx512": "llvm.x86.avx512.pmaddubs.w.512"}[_INSTRUCTIONS]
        return _called(builder, name, ir.VectorType(ir.IntType(16), 2 * _LANES), unsigned, signed)
    wide = ir.VectorType(ir.IntType(16), 4 * _LANES)
    products = builder.mul(builder.zext(unsigned, wide), builder.sext(signed, wide))
    return _sums_of_neighbours(builder, products)


def _pairs_of_words(builder, words):
    """Sums of neighbouring 16-bit numbers, as 32-bit numbers."""
    if _INSTRUCTIONS:
        name = {"avx2": "llvm.x86.avx2.pmadd.wd", "avx512": "llvm.x86.avx512.pmaddw.d.512"}[_INSTRUCTIONS]
        ones = ir.Constant(words.type, [1] * (2 * _LANES))
        return _called(builder, name, ir.VectorType(ir.IntType(32), _LANES), words, ones)
    return _sums_of_neighbours(builder, builder.sext(words, ir.VectorType(ir.IntType(32), 2 * _LANES)))


def _called(builder, name, result, *values):
    signature = ir.FunctionType(result, [value.type for value in values])
    function = builder.module.globals.get(name) or ir.Function(builder.module, signature, name)
    return builder.call(function, values)


def _sums_of_neighbours(builder, vector):
    half = vector.type.count // 2
    places = ir.VectorType(ir.IntType(32), half)
    even, odd = (ir.Constant(places, list(range(first, 2 * half, 2))) for first in (0, 1))
    undefined = ir.Constant(vector.type, ir.Undefined)
    return builder.add(builder.shuffle_vector(vector, undefined, even), builder.shuffle_vector(vector, undefined, odd))


def _emit_tile(builder, pointers, depth):
    """Emits  sums[i, j] = starts[j] + Σ over bytes of rows[i] · columns[j]  over a tile.

    pointers : to the first element of rows, columns, starts and sums, int32 all;  depth : of both, in int32, an even number.
    """
    rows, columns, starts, sums = pointers
    word, number = ir.IntType(64), ir.IntType(32)
    vector, codes = ir.VectorType(number, _LANES), ir.VectorType(ir.IntType(8), 4 * _LANES)

    def at(value):
        return ir.Constant(word, value)

    def vector_at(pointer, offset, kind=vector):
        return builder.bitcast(builder.gep(pointer, [offset]), kind.as_pointer())

    tile = [(i, v) for i in range(TILE_ROWS) for v in range(_VECTORS)]
    start = [builder.load(vector_at(starts, at(v * _LANES)), align=4) for v in range(_VECTORS)]
    before, loop, after = builder.block, builder.append_basic_block("tile"), builder.append_basic_block("tile_done")
    builder.branch(loop)
    builder.position_at_end(loop)
    k = builder.phi(word)
    totals = [builder.phi(vector) for _ in tile]
    undefined, everywhere = ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(number, _LANES), [0] * _LANES)

    def products(k):
        found = []
        column_codes = [
            builder.load(vector_at(columns, builder.add(builder.mul(k, at(PANEL)), at(v * _LANES)), codes), align=4)
            for v in range(_VECTORS)
        ]
        for i in range(TILE_ROWS):
            four = builder.load(builder.gep(rows, [builder.add(k, builder.mul(depth, at(i)))]))
            one = builder.insert_element(undefined, four, ir.Constant(number, 0))
            row_codes = builder.bitcast(builder.shuffle_vector(one, undefined, everywhere), codes)
            found += [_pairs_of_bytes(builder, row_codes, column_codes[v]) for v in range(_VECTORS)]
        return found

    both = zip(products(k), products(builder.add(k, at(1))), strict=True)
    new = [
        builder.add(total, _pairs_of_words(builder, builder.add(first, second)))
        for total, (first, second) in zip(totals, both, strict=True)
    ]
    k_next = builder.add(k, at(2))
    k.add_incoming(at(0), before)
    k.add_incoming(k_next, loop)
    for (_, v), total, following in zip(tile, totals, new, strict=True):
        total.add_incoming(start[v], before)
        total.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", k_next, depth), loop, after)
    builder.position_at_end(after)
    for (i, v), total in zip(tile, new, strict=True):
        builder.store(total, vector_at(sums, at(i * PANEL + v * _LANES)), align=4)


def _compiled_tile():
    @intrinsic
    def tile(typing_context, rows, rows_at, columns, columns_at, starts, starts_at, depth, sums):
        signature = types.void(rows, rows_at, columns, columns_at, starts, starts_at, depth, sums)

        def generate(context, builder, signature, values):
            def word(place):
                return context.cast(builder, values[place], signature.args[place], types.int64)

            def data(place):
                return context.make_array(signature.args[place])(context, builder, values[place]).data

            pointers = [builder.gep(data(place), [word(place + 1)]) for place in (0, 2, 4)]
            _emit_tile(builder, [*pointers, data(7)], word(6))
            return context.get_dummy_value()

        return signature, generate

    return tile


def _plain_tile():
    def tile(rows, rows_at, columns, columns_at, starts, starts_at, depth, sums):
        ours = rows.reshape(-1)[rows_at : rows_at + TILE_ROWS * depth].view(np.uint8).reshape(TILE_ROWS, -1).astype(np.int32)
        theirs = columns.reshape(-1)[columns_at : columns_at + depth * PANEL].reshape(depth, PANEL, 1).view(np.int8)
        theirs = theirs.transpose(0, 2, 1).reshape(-1, PANEL).astype(np.int32)
        sums[:] = (ours @ theirs + starts.reshape(-1)[starts_at : starts_at + PANEL]).reshape(-1)

    return tile


def _compiled_at_least():
    @intrinsic
    def at_least(typing_context, sums, start, least):
        signature = types.int64(sums, start, least)

        def generate(context, builder, signature, values):
            vector = ir.VectorType(ir.IntType(32), PANEL)
            start = context.cast(builder, values[1], signature.args[1], types.int64)
            data = context.make_array(signature.args[0])(context, builder, values[0]).data
            run = builder.load(builder.bitcast(builder.gep(data, [start]), vector.as_pointer()), align=4)
            undefined = ir.Constant(vector, ir.Undefined)
            value = context.cast(builder, values[2], signature.args[2], types.int32)
            one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), PANEL), [0] * PANEL)
            reached = builder.icmp_signed(">=", run, builder.shuffle_vector(one, undefined, zeros))
            return builder.zext(builder.bitcast(reached, ir.IntType(PANEL)), ir.IntType(64))

        return signature, generate

    return at_least


def _plain_at_least():
    return lambda sums, start, least: sum(1 << int(j) for j in np.flatnonzero(sums[start : start + PANEL] >= least))


def _compiled_lowest():
    @intrinsic
    def lowest(typing_context, bits):
        def generate(context, builder, signature, values):
            return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

        return types.int64(types.int64), generate

    return lowest


_is_plain = getattr(numba.config, "DISABLE_JIT", 0)
# (rows, rows_at, columns, columns_at, starts, starts_at, depth, sums): C-contiguous int32 arrays, and where the tile begins.
_set_tile = _plain_tile() if _is_plain else _compiled_tile()
# (sums, start, least): bit j says whether sums[start + j] >= least, PANEL of them.
_at_least = _plain_at_least() if _is_plain else _compiled_at_least()
# The place of the lowest bit that is set.
_lowest = (lambda bits: (bits & -bits).bit_length() - 1) if _is_plain else _compiled_lowest()


@kernel
def code_rows(vectors, codes, about):
    """The codes of vectors (n, dim) float32, as rows of a product.

    codes : (≥ n, padded dim) uint8, filled; what is beyond the vectors stands for 0.
    about : (n, 3) float32, filled: a row's step, the length of what its codes stand for, and of what they leave out.
    """
    dim = vectors.shape[1]
    for row in range(len(codes)):
        largest = np.float32(0)
        if row < len(vectors):
            for k in range(dim):
                largest = max(largest, abs(vectors[row, k]))
        step = largest / np.float32(_MOST_OF_ROWS)
        inverse = np.float32(_MOST_OF_ROWS) / largest if largest > 0 else np.float32(0)
        kept, left = 0.0, 0.0
        for k in range(codes.shape[1]):
            code = np.float32(0)
            if row < len(vectors) and k < dim:
                code = np.rint(vectors[row, k] * inverse)
                stands_for = np.float64(code) * np.float64(step)
                kept += stands_for * stands_for
                left += (np.float64(vectors[row, k]) - stands_for) ** 2
            codes[row, k] = np.uint8(np.int32(code) + _ZERO_OF_ROWS)
        if row < len(vectors):
            about[row, 0], about[row, 1], about[row, 2] = step, _upwards(kept), _upwards(left)


@part
def _upwards(square):
    """The root as a float32 number that is not below it, also after a product and a sum."""
    return np.float32(np.sqrt(square) * (1 + 1e-6))


@kernel
def code_columns(vectors, codes, starts, about):
    """The codes of vectors (n, dim) float32, as columns of a product, in panels.

    codes : (n_panels, padded dim / 4, PANEL, 4) int8, filled;  starts : (n_panels, PANEL) int32, filled: what sums begin with,
    so that the rows' codes count from 0.
    about : (n_panels, 3) float32, filled: a panel's step, the greatest length of its vectors, and of what codes leave out.
    """
    n, dim = vectors.shape
    for p in range(len(codes)):
        first, last = p * PANEL, min((p + 1) * PANEL, n)
        step = np.float32(0)
        for column in range(first, last):
            step = max(step, _least_step(vectors[column]))
        inverse = np.float32(1) / step if step > 0 else np.float32(0)
        longest, most_left = 0.0, 0.0
        for j in range(PANEL):
            column, total, length, left = first + j, 0, 0.0, 0.0
            for k in range(4 * codes.shape[1]):
                code = np.float32(0)
                if column < last and k < dim:
                    value = np.float64(vectors[column, k])
                    code = np.rint(vectors[column, k] * inverse)
                    length += value * value
                    left += (value - np.float64(code) * np.float64(step)) ** 2
                codes[p, k // 4, j, k % 4] = np.int8(code)
                total += int(code)
            starts[p, j] = -_ZERO_OF_ROWS * total
            longest, most_left = max(longest, length), max(most_left, left)
        about[p, 0], about[p, 1], about[p, 2] = step, _upwards(longest), _upwards(most_left)


@part
def _least_step(vector):
    """The least step in which no code is too large, nor four of them that are added up as 16-bit numbers."""
    largest, most = np.float32(0), np.float32(0)
    for begin in range(0, len(vector), DEPTH):
        # Of eight coordinates these meet: 0, 1, 4, 5 and 2, 3, 6, 7.
        for half in range(2):
            four = np.float32(0)
            for k in (0, 1, 4, 5):
                place = begin + 2 * half + k
                if place < len(vector):
                    size = abs(vector[place])
                    four += size
                    largest = max(largest, size)
            most = max(most, four)
    # A little more, for what the division rounds.
    return max(largest / np.float32(_MOST_OF_COLUMNS), most / np.float32(_MOST_OF_FOUR)) * np.float32(1 + 1e-6)


@kernel
def possible_pairs(codes, rows, row_about, bars, columns, starts, column_about, n_columns, found_rows, found_columns, bounds):
    """Finds all pairs of a row and a column whose product could reach the row's bar; returns how many there are.

    codes : (≥ n, depth) int32, a multiple of TILE_ROWS, the codes of `rows` (n,), which are places in `row_about` and `bars`.
    columns : (n_panels, depth, PANEL) int32, of which the first n_columns columns are there;  starts, column_about : theirs.
    found_rows, found_columns : int32, filled with an element of `rows` and the number of a column;  bounds : float32, filled
    with what the product is not above, but for rounding. Room for n · n_columns. Columns rise within a row.
    """
    depth, n, found = codes.shape[1], len(rows), 0
    sums = np.empty(TILE_ROWS * PANEL, np.int32)
    scaled = np.empty((TILE_ROWS, 3), np.float32)
    for near in range(0, len(columns), _NEAR_PANELS):
        for i in range(0, n, TILE_ROWS):
            count = min(TILE_ROWS, n - i)
            for r in range(count):
                _scale(bars[rows[i + r]], row_about[rows[i + r]], scaled[r])
            for p in range(near, min(near + _NEAR_PANELS, len(columns))):
                _set_tile(codes, i * depth, columns, p * depth * PANEL, starts, p * PANEL, depth, sums)
                step, longest, most_left = column_about[p, 0], column_about[p, 1], column_about[p, 2]
                inverse = np.float32(1) / step if step > 0 else np.float32(0)
                for r in range(count):
                    bits = _at_least(sums, r * PANEL, _least_sum(scaled[r], longest, most_left, inverse))
                    while bits:
                        j = _lowest(bits)
                        bits &= bits - 1
                        row = rows[i + r]
                        gain = row_about[row, 1] * most_left + row_about[row, 2] * longest
                        bound = np.float32(sums[r * PANEL + j]) * (row_about[row, 0] * step) + gain
                        if p * PANEL + j < n_columns and bound >= bars[row]:
                            found_rows[found], found_columns[found], bounds[found] = row, p * PANEL + j, bound
                            found += 1
    return found


@part
def _scale(bar, about, scaled):
    """The bar, and what the lengths add to a sum, in steps of the row; -inf for a bar that everything reaches, or may reach."""
    inverse = np.float32(1) / about[0] if about[0] > 0 else np.float32(0)
    scaled[0] = bar * inverse if about[0] > 0 else np.float32(-np.inf)
    scaled[1], scaled[2] = about[1] * inverse, about[2] * inverse


@part
def _least_sum(scaled, longest, most_left, inverse):
    """A whole number that no sum is below with which sum · unit + gain reaches the bar."""
    bar, gain = scaled[0], scaled[1] * most_left + scaled[2] * longest
    # Rounding takes no more than a few parts of 10⁷ from either.
    least = (bar - gain - _ROUNDED * (abs(bar) + gain)) * inverse - np.float32(2)
    if not least > _FLOOR:
        return np.int32(_LOWEST)
    return np.int32(min(least, -_FLOOR))


@kernel
def products_of_codes(codes, row_about, columns, starts, column_about, products):
    """products[r, j] = the product of what the codes of row r and column j stand for."""
    depth = codes.shape[1]
    sums = np.empty(TILE_ROWS * PANEL, np.int32)
    for p in range(len(columns)):
        for i in range(0, len(row_about), TILE_ROWS):
            _set_tile(codes, i * depth, columns, p * depth * PANEL, starts, p * PANEL, depth, sums)
            for r in range(min(TILE_ROWS, len(row_about) - i)):
                unit = row_about[i + r, 0] * column_about[p, 0]
                for j in range(min(PANEL, products.shape[1] - p * PANEL)):
                    products[i + r, p * PANEL + j] = np.float32(sums[r * PANEL + j]) * unit

"""Inner products bounded from codes of 7 and 8 bits: which pairs of rows and columns could reach a bar.

Small whole numbers are multiplied several times as fast as floats, and what they leave out of a product is bounded by the
lengths of what they leave out of both vectors. Rows have codes from -63 to 63, kept as 1 to 127, and columns from -127 to 127
in steps that a panel of columns shares. The innermost loop is written in LLVM's own instructions: products of two bytes are
added up as 16-bit numbers, four of them, and the columns' steps are chosen so that these do not overflow.
"""

from __future__ import annotations

import functools

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
    "NEAR_PANELS",
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
NEAR_PANELS = 8
# Rows that are done are taken out of the products once they are one of so many.
_WORTH_LEAVING = 16

_MOST_OF_ROWS, _ZERO_OF_ROWS, _MOST_OF_COLUMNS = 63, 64, 127
# 127 · 258 fits 16 bits; rounding may add 2 to four codes.
_MOST_OF_FOUR = 256
_LOWEST, _LARGEST, _ROUNDED = -(2**31), np.float32(2e9), np.float32(1e-6)


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
    """Emits  sums[i, j] = starts[j] + Σ over bytes of rows[i] · columns[j]  over a tile, and which are above limits[i].

    pointers : to the first element of rows, columns, starts, limits and sums, int32 all, and of masks, int64, a bit a column;
    depth : of both, in int32, an even number. Sums and masks are stored if any is above; the value says whether.
    """
    rows, columns, starts, limits, sums, masks = pointers
    word, number = ir.IntType(64), ir.IntType(32)
    vector, codes = ir.VectorType(number, _LANES), ir.VectorType(ir.IntType(8), 4 * _LANES)
    undefined, everywhere = ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(number, _LANES), [0] * _LANES)

    def at(value):
        return ir.Constant(word, value)

    def vector_at(pointer, offset, kind=vector):
        return builder.bitcast(builder.gep(pointer, [offset]), kind.as_pointer())

    def broadcast(value):
        return builder.shuffle_vector(builder.insert_element(undefined, value, number(0)), undefined, everywhere)

    def column_codes(k):
        places = [builder.add(builder.mul(k, at(PANEL)), at(v * _LANES)) for v in range(_VECTORS)]
        return [builder.load(vector_at(columns, place, codes), align=4) for place in places]

    def row_codes(k, i):
        return builder.bitcast(broadcast(builder.load(builder.gep(rows, [builder.add(k, builder.mul(depth, at(i)))]))), codes)

    tile = [(i, v) for i in range(TILE_ROWS) for v in range(_VECTORS)]
    start = [builder.load(vector_at(starts, at(v * _LANES)), align=4) for v in range(_VECTORS)]
    before = builder.block
    loop, after, kept, done = (builder.append_basic_block(name) for name in ("tile", "tile_made", "tile_kept", "tile_done"))
    builder.branch(loop)
    builder.position_at_end(loop)
    k = builder.phi(word)
    totals = [builder.phi(vector) for _ in tile]
    # Row by row, so that the registers are enough.
    after_k, new = builder.add(k, at(1)), []
    both = list(zip(column_codes(k), column_codes(after_k), strict=True))
    for i in range(TILE_ROWS):
        first, second = row_codes(k, i), row_codes(after_k, i)
        for v, (of_first, of_second) in enumerate(both):
            words = builder.add(_pairs_of_bytes(builder, first, of_first), _pairs_of_bytes(builder, second, of_second))
            new.append(builder.add(totals[i * _VECTORS + v], _pairs_of_words(builder, words)))
    k_next = builder.add(k, at(2))
    k.add_incoming(at(0), before)
    k.add_incoming(k_next, loop)
    for (_, v), total, following in zip(tile, totals, new, strict=True):
        total.add_incoming(start[v], before)
        total.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", k_next, depth), loop, after)

    builder.position_at_end(after)
    limit = [broadcast(builder.load(builder.gep(limits, [at(i)]))) for i in range(TILE_ROWS)]
    above = [builder.icmp_signed(">", total, limit[i]) for (i, _), total in zip(tile, new, strict=True)]
    any_above = functools.reduce(builder.or_, above)
    is_any = builder.icmp_unsigned("!=", builder.bitcast(any_above, ir.IntType(_LANES)), ir.Constant(ir.IntType(_LANES), 0))
    builder.cbranch(is_any, kept, done)

    builder.position_at_end(kept)
    for (i, v), total in zip(tile, new, strict=True):
        builder.store(total, vector_at(sums, at(i * PANEL + v * _LANES)), align=4)
    whole = ir.Constant(ir.VectorType(number, PANEL), list(range(PANEL)))
    for i in range(TILE_ROWS):
        bits = builder.shuffle_vector(*above[i * _VECTORS : (i + 1) * _VECTORS], whole)
        builder.store(builder.zext(builder.bitcast(bits, ir.IntType(PANEL)), word), builder.gep(masks, [at(i)]))
    builder.branch(done)
    builder.position_at_end(done)
    return is_any


def _compiled_tile():
    @intrinsic
    def tile(typing_context, rows, rows_at, columns, columns_at, starts, starts_at, depth, limits, limits_at, sums, masks):
        signature = types.boolean(rows, rows_at, columns, columns_at, starts, starts_at, depth, limits, limits_at, sums, masks)

        def generate(context, builder, signature, values):
            def word(place):
                return context.cast(builder, values[place], signature.args[place], types.int64)

            def data(place):
                return context.make_array(signature.args[place])(context, builder, values[place]).data

            pointers = [builder.gep(data(place), [word(place + 1)]) for place in (0, 2, 4, 7)]
            return _emit_tile(builder, [*pointers, data(9), data(10)], word(6))

        return signature, generate

    return tile


def _plain_tile():
    def tile(rows, rows_at, columns, columns_at, starts, starts_at, depth, limits, limits_at, sums, masks):
        ours = rows.reshape(-1)[rows_at : rows_at + TILE_ROWS * depth].view(np.uint8).reshape(TILE_ROWS, -1).astype(np.int32)
        theirs = columns.reshape(-1)[columns_at : columns_at + depth * PANEL].reshape(depth, PANEL, 1).view(np.int8)
        theirs = theirs.transpose(0, 2, 1).reshape(-1, PANEL).astype(np.int32)
        sums[:] = (ours @ theirs + starts.reshape(-1)[starts_at : starts_at + PANEL]).reshape(-1)
        above = sums.reshape(TILE_ROWS, PANEL) > limits.reshape(-1)[limits_at : limits_at + TILE_ROWS, None]
        masks[:] = [sum(1 << int(j) for j in np.flatnonzero(row)) for row in above]
        return bool(above.any())

    return tile


def _compiled_lowest():
    @intrinsic
    def lowest(typing_context, bits):
        def generate(context, builder, signature, values):
            return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

        return types.int64(types.int64), generate

    return lowest


_is_plain = getattr(numba.config, "DISABLE_JIT", 0)
# (rows, rows_at, columns, columns_at, starts, starts_at, depth, limits, limits_at, sums, masks): C-contiguous int32 arrays, and
# where the tile begins; whether any sum is above its row's limit, and if so the sums, and a bit for each that is.
_made_tile = _plain_tile() if _is_plain else _compiled_tile()
# The place of the lowest bit that is set.
_lowest = (lambda bits: int(bits & -bits).bit_length() - 1) if _is_plain else _compiled_lowest()


@kernel
def code_rows(vectors, codes, about):
    """The codes of vectors (n, dim) float32, as rows of a product.

    codes : (≥ n, padded dim) uint8, filled; what is beyond the vectors stands for 0.
    about : (n, 4) float32, filled: a row's step, the length of what its codes stand for, of what they leave out, and its own.
    """
    dim = vectors.shape[1]
    for row in range(len(codes)):
        largest = np.float32(0)
        if row < len(vectors):
            for k in range(dim):
                largest = max(largest, abs(vectors[row, k]))
        step = largest / np.float32(_MOST_OF_ROWS)
        inverse = np.float32(_MOST_OF_ROWS) / largest if largest > 0 else np.float32(0)
        kept, left, length = 0.0, 0.0, 0.0
        for k in range(codes.shape[1]):
            code = np.float32(0)
            if row < len(vectors) and k < dim:
                value = np.float64(vectors[row, k])
                code = np.rint(vectors[row, k] * inverse)
                stands_for = np.float64(code) * np.float64(step)
                kept += stands_for * stands_for
                left += (value - stands_for) ** 2
                length += value * value
            codes[row, k] = np.uint8(np.int32(code) + _ZERO_OF_ROWS)
        if row < len(vectors):
            about[row, 0], about[row, 1], about[row, 2], about[row, 3] = step, _upwards(kept), _upwards(left), _upwards(length)


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
def possible_pairs(
    codes, rows, n, row_about, bars, columns, starts, column_about, n_columns, begin, enough, found_rows, found_columns, bounds
):
    """Finds the pairs of a row and a column whose product could reach the row's bar, panel by panel.

    codes : (any, depth) int32, a multiple of TILE_ROWS, the codes of `rows`, which are places in `row_about` and `bars`; the
    first n of both take part. Those that no further column reaches leave: the others move up.
    columns : (n_panels, depth, PANEL) int32, of which the first n_columns columns are there;  starts, column_about : theirs.
    The columns' greatest lengths fall.
    begin, enough : starts at that panel, a multiple of NEAR_PANELS, and stops at another once so many pairs are found.
    found_rows, found_columns : int32, filled with an element of `rows` and the number of a column;  bounds : float32, filled
    with what the product is not above, but for rounding. Room for enough + n · NEAR_PANELS · PANEL. Columns rise within a row.

    Returns how many pairs there are, the panel to go on from and how many rows take part there, 0 at the end.
    """
    depth, found = codes.shape[1], 0
    sums, masks = np.empty(TILE_ROWS * PANEL, np.int32), np.empty(TILE_ROWS, np.int64)
    about, limits = np.zeros((3, NEAR_PANELS), np.float32), np.zeros((NEAR_PANELS, TILE_ROWS), np.int32)
    for near in range(begin, len(columns), NEAR_PANELS):
        n = _leave(codes, rows, n, row_about, bars, column_about[near, 1])
        if found >= enough or n == 0:
            return found, near, n
        n_near = min(NEAR_PANELS, len(columns) - near)
        for q in range(n_near):
            for value in range(3):
                about[value, q] = column_about[near + q, value]
        for i in range(0, n, TILE_ROWS):
            for r in range(TILE_ROWS):
                row = rows[min(i + r, n - 1)]
                _set_limits(bars[row], row_about, row, about, n_near, limits, r)
            for q in range(n_near):
                p = near + q
                if not _made_tile(
                    codes, i * depth, columns, p * depth * PANEL, starts, p * PANEL, depth, limits, q * TILE_ROWS, sums, masks
                ):
                    continue
                for r in range(min(TILE_ROWS, n - i)):
                    bits, row = masks[r], rows[i + r]
                    while bits:
                        j = _lowest(bits)
                        bits &= bits - 1
                        gain = row_about[row, 1] * about[2, q] + row_about[row, 2] * about[1, q]
                        bound = np.float32(sums[r * PANEL + j]) * (row_about[row, 0] * about[0, q]) + gain
                        if p * PANEL + j < n_columns and bound >= bars[row]:
                            found_rows[found], found_columns[found], bounds[found] = row, p * PANEL + j, bound
                            found += 1
    return found, len(columns), 0


@part
def _leave(codes, rows, n, row_about, bars, longest):
    """Moves up, of the first n rows, those that columns of such a length can reach, if that is worth it; returns how many."""
    staying = 0
    for i in range(n):
        staying += row_about[rows[i], 3] * longest >= bars[rows[i]]
    if staying > n - n // _WORTH_LEAVING:
        return n
    place = 0
    for i in range(n):
        if row_about[rows[i], 3] * longest >= bars[rows[i]]:
            rows[place] = rows[i]
            for k in range(codes.shape[1]):
                codes[place, k] = codes[i, k]
            place += 1
    return place


@part
def _set_limits(bar, row_about, row, about, n, limits, r):
    """limits[:n, r] = whole numbers, by panel, that every sum is above with which sum · unit + gain reaches the bar.

    about : (3, ≥ n), as `column_about`.
    """
    step, kept, left = row_about[row, 0], row_about[row, 1], row_about[row, 2]
    if not (step > 0 and bar > -np.inf):  # everything reaches it, or may reach it
        for q in range(n):
            limits[q, r] = _LOWEST
        return
    for q in range(n):
        gain = kept * about[2, q] + left * about[1, q]
        unit = np.float32(1) / (step * about[0, q]) if about[0, q] > 0 else np.float32(0)
        # Rounding takes no more than a few parts of 10⁷ from either.
        limit = (bar - gain - _ROUNDED * (abs(bar) + gain)) * unit - np.float32(3)
        limits[q, r] = np.int32(max(min(limit, _LARGEST), -_LARGEST))


@kernel
def products_of_codes(codes, row_about, columns, starts, column_about, products):
    """products[r, j] = the product of what the codes of row r and column j stand for."""
    depth = codes.shape[1]
    sums, masks = np.empty(TILE_ROWS * PANEL, np.int32), np.empty(TILE_ROWS, np.int64)
    limits = np.full(TILE_ROWS, _LOWEST, np.int32)
    for p in range(len(columns)):
        for i in range(0, len(row_about), TILE_ROWS):
            _made_tile(codes, i * depth, columns, p * depth * PANEL, starts, p * PANEL, depth, limits, 0, sums, masks)
            for r in range(min(TILE_ROWS, len(row_about) - i)):
                unit = row_about[i + r, 0] * column_about[p, 0]
                for j in range(min(PANEL, products.shape[1] - p * PANEL)):
                    products[i + r, p * PANEL + j] = np.float32(sums[r * PANEL + j]) * unit

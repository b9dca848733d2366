"""Products of tall float32 matrices at the speed of the arithmetic units: rows by panels, Gram matrix, rotation.

A compiler keeps a small rectangle of sums in registers only when it is told to, so the innermost loop is written in LLVM's own
instructions: TILE_ROWS × PANEL sums, one fused multiply-add each per step of depth. Every sum runs over the depth in rising
order, so a result depends on its row and column alone and not on what else was computed with it.
"""

from __future__ import annotations

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from recsys.kernels._jit import kernel

__all__ = [
    "PANEL",
    "TILE_ROWS",
    "columns_in_panels",
    "cross_rows",
    "gram_rows",
    "multiply",
    "pack_rows",
    "padded_rows",
    "rotate_rows",
    "scratch_panels",
]


def _lanes() -> int:
    """Floats in a vector register."""
    features = llvmlite.binding.get_host_cpu_features()
    # Other processors with 512-bit registers run slower when they are used, and LLVM avoids them there.
    if features.get("avx512f") and llvmlite.binding.get_host_cpu_name() in ("znver4", "znver5"):
        return 16
    return 8 if features.get("avx2") else 4


_LANES = _lanes()
# Sums that fit the registers, of which there are 32 of 16 lanes and 16 of the narrower ones. PANEL is a multiple of TILE_ROWS.
TILE_ROWS, _VECTORS = (8, 2) if _LANES == 16 else (4, 3)
PANEL = _VECTORS * _LANES
# Rows that are rotated or entered into a Gram matrix at a time: they fit the second-level cache.
_ROTATED_ROWS = 64
_GRAM_ROWS = 256


def _emit_tile(builder, pointers, steps, depth, adds):
    """Emits  c[i, j] = or += Σ_k a[i · a_row + k · a_depth] · b[k · b_depth + j]  over a tile.

    pointers : to the first element of a, b and c;  steps : (a_row, a_depth, b_depth, c_row) in elements.
    """
    a, b, c = pointers
    a_row, a_depth, b_depth, c_row = steps
    word = ir.IntType(64)
    vector = ir.VectorType(ir.FloatType(), _LANES)
    name = f"llvm.fmuladd.v{_LANES}f32"
    fused = builder.module.globals.get(name) or ir.Function(
        builder.module, ir.FunctionType(vector, [vector, vector, vector]), name
    )

    def number(value):
        return ir.Constant(word, value)

    def vector_at(pointer, offset):
        return builder.bitcast(builder.gep(pointer, [offset]), vector.as_pointer())

    def c_at(i, v):
        return vector_at(c, builder.add(builder.mul(c_row, number(i)), number(v * _LANES)))

    tile = [(i, v) for i in range(TILE_ROWS) for v in range(_VECTORS)]
    zero = ir.Constant(vector, [0.0] * _LANES)
    start = [builder.load(c_at(i, v), align=4) if adds else zero for i, v in tile]
    before, loop, after = builder.block, builder.append_basic_block("tile"), builder.append_basic_block("tile_done")
    builder.branch(loop)
    builder.position_at_end(loop)
    k = builder.phi(word)
    sums = [builder.phi(vector) for _ in tile]
    columns = [vector_at(b, builder.add(builder.mul(k, b_depth), number(v * _LANES))) for v in range(_VECTORS)]
    columns = [builder.load(pointer, align=4) for pointer in columns]
    undefined = ir.Constant(vector, ir.Undefined)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
    rows = []
    for i in range(TILE_ROWS):
        offset = builder.add(builder.mul(k, a_depth), builder.mul(a_row, number(i)))
        value = builder.insert_element(undefined, builder.load(builder.gep(a, [offset])), ir.Constant(ir.IntType(32), 0))
        rows.append(builder.shuffle_vector(value, undefined, everywhere))
    new = [builder.call(fused, [rows[i], columns[v], total]) for (i, v), total in zip(tile, sums, strict=True)]
    k_next = builder.add(k, number(1))
    for phi, first, following in [(k, number(0), k_next), *zip(sums, start, new, strict=True)]:
        phi.add_incoming(first, before)
        phi.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", k_next, depth), loop, after)
    builder.position_at_end(after)
    for (i, v), total in zip(tile, new, strict=True):
        builder.store(total, c_at(i, v), align=4)


def _compiled_tile(adds):
    @intrinsic
    def tile(typing_context, a, a_at, a_row, a_depth, b, b_at, b_depth, depth, c, c_at, c_row):
        signature = types.void(a, a_at, a_row, a_depth, b, b_at, b_depth, depth, c, c_at, c_row)

        def generate(context, builder, signature, values):
            def word(place):
                return context.cast(builder, values[place], signature.args[place], types.int64)

            def pointer(place):
                data = context.make_array(signature.args[place])(context, builder, values[place]).data
                return builder.gep(data, [word(place + 1)])

            pointers = [pointer(place) for place in (0, 4, 8)]
            _emit_tile(builder, pointers, [word(place) for place in (2, 3, 6, 10)], word(7), adds)
            return context.get_dummy_value()

        return signature, generate

    return tile


def _plain_tile(adds):
    def tile(a, a_at, a_row, a_depth, b, b_at, b_depth, depth, c, c_at, c_row):
        i, j, k = np.arange(TILE_ROWS)[:, None], np.arange(PANEL), np.arange(depth)
        rows = a.reshape(-1)[a_at + i * a_row + k * a_depth]
        columns = b.reshape(-1)[b_at + k[:, None] * b_depth + j]
        places = c_at + i * c_row + j
        c.reshape(-1)[places] = rows @ columns + (c.reshape(-1)[places] if adds else 0)

    return tile


_make_tile = _plain_tile if getattr(numba.config, "DISABLE_JIT", 0) else _compiled_tile
# (a, a_at, a_row, a_depth, b, b_at, b_depth, depth, c, c_at, c_row): C-contiguous float32 arrays, the element of each at which
# the tile begins, and the elements between one row or one step of depth and the next.
_set_tile = _make_tile(adds=False)
_add_tile = _make_tile(adds=True)


def padded_rows(n_rows: int) -> int:
    """The least whole number of tiles' rows that holds `n_rows`."""
    return -(-n_rows // TILE_ROWS) * TILE_ROWS


def scratch_panels(n_columns: int, depth: int = _GRAM_ROWS) -> np.ndarray:
    """Room for `n_columns` columns of `depth` in panels, (n_panels, depth, PANEL) float32."""
    return np.empty((-(-n_columns // PANEL), depth, PANEL), np.float32)


def columns_in_panels(matrix: np.ndarray) -> np.ndarray:
    """The columns of a (depth, n) float32 matrix in panels."""
    panels = scratch_panels(matrix.shape[1], len(matrix))
    pack_columns(matrix, 0, len(matrix), panels)
    return panels


@kernel
def pack_rows(matrix, rows, panels):
    """panels[p, k, j] = matrix[rows[p · PANEL + j], k], 0 beyond the last: those rows become columns of a product."""
    depth, width = panels.shape[1], panels.shape[2]
    for p in range(panels.shape[0]):
        panel = panels[p]
        for j in range(width):
            place = p * width + j
            for k in range(depth):
                panel[k, j] = matrix[rows[place], k] if place < len(rows) else np.float32(0)


@kernel
def pack_columns(matrix, begin, end, panels):
    """panels[p, k, j] = matrix[begin + k, p · PANEL + j] for the rows up to `end` and all columns, 0 beyond."""
    width, n_columns = panels.shape[2], matrix.shape[1]
    for k in range(end - begin):
        row = matrix[begin + k]
        for p in range(n_columns // width):
            for j in range(width):
                panels[p, k, j] = row[p * width + j]
        for p in range(n_columns // width, panels.shape[0]):
            for j in range(width):
                column = p * width + j
                panels[p, k, j] = row[column] if column < n_columns else np.float32(0)


@kernel
def multiply(rows, panels, begin, end, product):
    """product = rows @ columns over the dimensions [begin, end) of both; with begin > 0 it is added to what is there.

    rows : (n, dim), n a multiple of TILE_ROWS;  panels : (m, dim, PANEL) with the columns;  product : (n, m · PANEL).
    """
    dim, panel, width = rows.shape[1], panels.shape[2], product.shape[1]
    for p in range(panels.shape[0]):
        b_at = (p * dim + begin) * panel
        for i in range(0, rows.shape[0], TILE_ROWS):
            a_at, c_at = i * dim + begin, i * width + p * panel
            if begin == 0:
                _set_tile(rows, a_at, dim, 1, panels, b_at, panel, end, product, c_at, width)
            else:
                _add_tile(rows, a_at, dim, 1, panels, b_at, panel, end - begin, product, c_at, width)


@kernel
def rotate_rows(matrix, begin, end, panels, turned_matrix, n_columns):
    """turned_matrix[begin:end, :n_columns] = matrix[begin:end, :depth] @ axes; both matrices may be one.

    panels : (m, depth, PANEL) with the `n_columns` columns of `axes`, which has `depth` rows.
    """
    factors, panel = panels.shape[1], panels.shape[2]
    width = panels.shape[0] * panel
    source = np.zeros((_ROTATED_ROWS, factors), np.float32)
    turned = np.empty((_ROTATED_ROWS, width), np.float32)
    for start in range(begin, end, _ROTATED_ROWS):
        count = min(_ROTATED_ROWS, end - start)
        # source[:count] = matrix[start : start + count, :factors], which numba would compile for seconds.
        for i in range(count):
            for k in range(factors):
                source[i, k] = matrix[start + i, k]
        for p in range(panels.shape[0]):
            for i in range(0, count, TILE_ROWS):
                _set_tile(
                    source, i * factors, factors, 1, panels, p * factors * panel, panel, factors,
                    turned, i * width + p * panel, width,
                )  # fmt: skip
        for i in range(count):
            for k in range(n_columns):
                turned_matrix[start + i, k] = turned[i, k]


@kernel
def gram_rows(matrix, begin, end, panels, total):
    """total += matrix[begin:end].T @ matrix[begin:end], its upper panels only.

    panels : (m, _GRAM_ROWS, PANEL) scratch;  total : (m · PANEL, m · PANEL) float32.
    """
    depth, panel, width = panels.shape[1], panels.shape[2], total.shape[1]
    for start in range(begin, end, depth):
        stop = min(start + depth, end)
        pack_columns(matrix, start, stop, panels)
        for q in range(panels.shape[0]):
            for p in range(q + 1):
                for i in range(0, panel, TILE_ROWS):
                    _add_tile(
                        panels, p * depth * panel + i, 1, panel, panels, q * depth * panel, panel, stop - start,
                        total, (p * panel + i) * width + q * panel, width,
                    )  # fmt: skip


@kernel
def pack_side(matrix, rows, weights, begin, end, scales, panels):
    """panels[p, k, j] = matrix[rows[begin + k], p · PANEL + j], times its weight if `scales`; 0 beyond. Returns Σ w entry².

    weights : one a row, or none at all, which stands for ones.
    """
    width, n_columns, weighted = panels.shape[2], matrix.shape[1], len(weights) > 0
    # A sum for each column: they are added up next to each other, and stay short.
    squares = np.zeros((panels.shape[0], width), np.float32)
    for k in range(end - begin):
        row = matrix[rows[begin + k]]
        weight = weights[begin + k] if weighted else np.float32(1)
        factor = weight if scales else np.float32(1)
        for p in range(n_columns // width):
            for j in range(width):
                value = row[p * width + j]
                panels[p, k, j] = factor * value
                squares[p, j] += weight * value * value
        for p in range(n_columns // width, panels.shape[0]):
            for j in range(width):
                value = row[p * width + j] if p * width + j < n_columns else np.float32(0)
                panels[p, k, j] = factor * value
                squares[p, j] += weight * value * value
    total = 0.0
    for p in range(panels.shape[0]):
        for j in range(width):
            total += np.float64(squares[p, j])
    return total


@kernel
def cross_rows(a, b, pairs, weights, begin, end, a_panels, b_panels, total):
    """total += Σ w a[i]ᵀ b[j] over the pairs (i, j) of the rows of `pairs` (n, 2) from `begin` to `end`; Σ w ‖a‖², Σ w ‖b‖².

    weights : (n,) float32, or empty for ones;  a_panels, b_panels : (m, _GRAM_ROWS, PANEL) scratch for the columns of each;
    total : (≥ columns of a in whole tiles, panels of b · PANEL) float32.
    """
    depth, panel, width = a_panels.shape[1], a_panels.shape[2], total.shape[1]
    a_squares, b_squares = 0.0, 0.0
    for start in range(begin, end, depth):
        stop = min(start + depth, end)
        a_squares += pack_side(a, pairs[:, 0], weights, start, stop, True, a_panels)
        b_squares += pack_side(b, pairs[:, 1], weights, start, stop, False, b_panels)
        for q in range(b_panels.shape[0]):
            for row in range(0, a.shape[1], TILE_ROWS):
                p, i = row // panel, row % panel
                _add_tile(
                    a_panels, p * depth * panel + i, 1, panel, b_panels, q * depth * panel, panel, stop - start,
                    total, row * width + q * panel, width,
                )  # fmt: skip
    return a_squares, b_squares

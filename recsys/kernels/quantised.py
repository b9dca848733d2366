"""Scores of queries against vectors that are kept as codes: numbers of 8 and 4 bits, signs, and places in codebooks.

The query stays a float32 vector (asymmetric distances; Jégou, Douze & Schmid 2011, section III-A), but for signs, where both
sides are bits. Every kernel fills scores[q, i] for all queries and a block of codes; each sum depends on its query and its code
alone. `factors` are the lengths that the codes of a row are multiplied with.
"""

from __future__ import annotations

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

from recsys.kernels._jit import fast_kernel, kernel

__all__ = ["NIBBLE_MIDDLE", "nearest_centres", "score_bytes", "score_nibbles", "score_signs", "score_tables"]

# Nibbles 0 to 15 stand for the odd halves from -7.5 to 7.5.
NIBBLE_MIDDLE = 7.5


def _compiled_ones():
    @intrinsic
    def ones(typing_context, word):
        def generate(context, builder, signature, values):
            return builder.ctpop(values[0])

        return types.uint64(types.uint64), generate

    return ones


# How many bits of a uint64 are set.
_ones = (lambda word: int(word).bit_count()) if getattr(numba.config, "DISABLE_JIT", 0) else _compiled_ones()


@fast_kernel
def score_bytes(weights, offsets, codes, factors, scores):
    """scores[q, i] = factors[i] · (offsets[q] + Σ_d weights[q, d] · codes[i, d])

    weights : (n_queries, dim) float32;  offsets : (n_queries,) float32;  codes : (n, dim) int8;  factors : (n,) float32.
    """
    for i in range(len(codes)):
        code = codes[i]
        for q in range(len(weights)):
            weight = weights[q]
            total = np.float32(0)
            for d in range(len(code)):
                total += weight[d] * np.float32(code[d])
            scores[q, i] = factors[i] * (offsets[q] + total)


@fast_kernel
def score_nibbles(weights, offsets, codes, bend, factors, scores):
    """scores[q, i] = factors[i] · (offsets[q] + Σ_d weights[q, d] · u (1 + bend · u²)),  u = nibble d of codes[i] - 7.5

    weights : (n_queries, 2 · width) float32;  codes : (n, width) uint8: byte j holds dimension j in its low half and dimension
    width + j in its high one.
    """
    width, one, bend = codes.shape[1], np.float32(1), np.float32(bend)
    for i in range(len(codes)):
        code = codes[i]
        for q in range(len(weights)):
            low_weights, high_weights = weights[q, :width], weights[q, width:]
            total = np.float32(0)
            for j in range(width):
                byte = np.int32(code[j])  # of 64 bits, as numba would have it, half as many fit a register
                low = np.float32(np.int32(byte & 15)) - np.float32(NIBBLE_MIDDLE)
                high = np.float32(np.int32(byte >> 4)) - np.float32(NIBBLE_MIDDLE)
                total += low_weights[j] * (low * (one + bend * (low * low)))
                total += high_weights[j] * (high * (one + bend * (high * high)))
            scores[q, i] = factors[i] * (offsets[q] + total)


@fast_kernel
def score_tables(tables, codes, factors, scores):
    """scores[q, i] = factors[i] · Σ_m tables[q, m, codes[i, m]]

    tables : (n_queries, subspaces, 256) float32, a query's products with the centres of each codebook;  codes : (n, subspaces)
    uint8.
    """
    for q in range(len(tables)):
        table = tables[q]
        for i in range(len(codes)):
            code = codes[i]
            total = np.float32(0)
            for m in range(len(code)):
                total += table[m, code[m]]
            scores[q, i] = factors[i] * total


@fast_kernel
def nearest_centres(points, centres, labels):
    """labels[i] = the c for which ‖points[i] - centre c‖ is least, of equals the first.

    points : (n, width) float32;  centres : (width, n_centres) float32, a column each.
    """
    squares = np.empty(centres.shape[1], np.float32)
    # Floats that are not negative are in the order of their bits, and the least of integers is found many at a time.
    bits = squares.view(np.int32)
    for i in range(len(points)):
        squares[:] = 0
        for d in range(points.shape[1]):
            number, column = points[i, d], centres[d]
            for c in range(len(column)):
                step = number - column[c]
                squares[c] += step * step
        least = bits[0]
        for c in range(len(bits)):
            least = min(least, bits[c])
        best = 0
        while bits[best] != least:
            best += 1
        labels[i] = best


@kernel
def score_signs(queries, codes, dim, factors, scores):
    """scores[q, i] = factors[i] · (dim - 2 · how many bits differ): the product of two vectors of +1 and -1.

    queries : (n_queries, words) uint64;  codes : (n, words) uint64, bits beyond `dim` 0 on both sides.
    """
    words = codes.shape[1]
    for q in range(len(queries)):
        query = queries[q]
        for i in range(len(codes)):
            differ = np.uint64(0)
            for w in range(words):
                differ += _ones(query[w] ^ codes[i, w])
            scores[q, i] = factors[i] * np.float32(dim - 2 * np.int64(differ))

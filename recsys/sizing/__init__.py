"""What size costs: a model in many sizes, each judged beside the whole one, and the smallest that loses little enough.

`measuring` compresses, ranks and compares · `result` what the user gets · `picture` its plot · `stands_for` the sizes of what
the vectors stand for. May import evaluation, model, embeddings and everything below.
"""

from __future__ import annotations

from recsys.sizing.measuring import tradeoff
from recsys.sizing.result import Measured, Tradeoff

__all__ = ["Measured", "Tradeoff", "tradeoff"]

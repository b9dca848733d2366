"""Blending: how much each of several models should count, found on validation data, and whether that surely helps.

`blend` is the configuration and what it promises, `shares` the search on pools; `recsys.model.BlendModel` is what comes of it.
May import everything below bridging.
"""

from __future__ import annotations

from recsys.blending.blend import Blend, NoGainError

__all__ = ["Blend", "NoGainError"]

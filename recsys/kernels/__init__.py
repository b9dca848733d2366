"""Compiled kernels: arrays in, arrays out; no ids, no pandas, no files. One file a family; `_jit` names compile flags."""

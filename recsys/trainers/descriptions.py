"""What a trainer's settings are for, as the texts beside its fields have it. May import trainers.base."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from typing import Any

from recsys.trainers.base import Trainer, setting_names

__all__ = ["setting_descriptions"]


def setting_descriptions(trainer: type[Trainer[Any]]) -> dict[str, str]:
    """The text under each hyperparameter's field, in one line; empty where there is none or no source to read."""
    found: dict[str, str] = {}
    for kind in reversed(trainer.__mro__):
        if issubclass(kind, Trainer):
            found |= _texts(kind)
    return {name: found.get(name, "") for name in setting_names(trainer)}


def _texts(kind: type) -> dict[str, str]:
    """The string literals that stand right below an annotated name in the body of a class."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    texts = {}
    for field, below in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            text = below.value.value if isinstance(below.value, ast.Constant) else None
            if isinstance(text, str):
                texts[field.target.id] = " ".join(text.split())
    return texts

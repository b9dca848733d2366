"""Opening a saved model, whatever its form. May import storage and the models of this room."""

from __future__ import annotations

import os
from typing import TypeAlias

from recsys.errors import FormatError, quote_some
from recsys.model.blend import FORM as BLEND
from recsys.model.blend import BlendModel
from recsys.model.item_item import FORM as ITEM_ITEM
from recsys.model.item_item import ItemItemModel
from recsys.model.vectors import Model
from recsys.storage import Stored, open_stored

__all__ = ["AnyModel", "load_model", "model_from_stored"]

AnyModel: TypeAlias = Model | ItemItemModel | BlendModel

_VECTORS = "vectors"


def load_model(path: str | os.PathLike[str], *, verify: bool = True) -> AnyModel:
    """The model saved at `path`, arrays memory-mapped. Raises `FormatError` that names what is wrong."""
    return model_from_stored(open_stored(path, "model", verify=verify), verify=verify)


def model_from_stored(stored: Stored, *, verify: bool = True) -> AnyModel:
    """The model in an opened directory; its attribute "form" says which kind of model, none means vectors."""
    form = stored.attributes.get("form", _VECTORS)
    if form == _VECTORS:
        return Model.from_stored(stored, verify=verify)
    if form == ITEM_ITEM:
        return ItemItemModel.from_stored(stored)
    if form == BLEND:
        return BlendModel.from_stored(stored, verify=verify)
    raise FormatError(
        f"{stored.path} holds a model of the form {form!r}; this recsys knows {quote_some((_VECTORS, ITEM_ITEM, BLEND))}. "
        "Hint: a newer version of recsys may be able to read it."
    )

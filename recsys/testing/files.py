"""Checks of saved models. May import everything below jobs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from recsys.loading import load
from recsys.model import RankingModel
from recsys.storage import open_stored
from recsys.testing.promises import Case, keep, promise

__all__: list[str] = []

# First bytes of a pickle of protocol 2 to 5 are "\x80" and the protocol; of a zip archive, in which some hide, "PK".
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


@promise
def a_loaded_model_gives_the_same_lists(case: Case) -> None:
    """Saved and loaded again it is the same model: lists, scores, provenance."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        case.model.save(path)
        loaded = load(path)
        keep(isinstance(loaded, RankingModel), f"recsys.load gave {type(loaded).__name__}")
        assert isinstance(loaded, RankingModel)
        keep(loaded.fingerprint == case.model.fingerprint, "the loaded model has another fingerprint")
        keep(loaded.recommend(k=5).equals(case.model.recommend(k=5)), "the loaded model gives other lists")
        keep(dict(loaded.provenance) == dict(case.model.provenance), "the loaded model has another provenance")
        _require_same_fold_in(case, loaded)


def _require_same_fold_in(case: Case, loaded: RankingModel) -> None:
    """Whatever the model says of a basket, the loaded one says too."""
    item = case.model.items.to_numpy()[:3]
    answers = []
    for model in (case.model, loaded):
        try:
            answers.append(model.recommend_basket(item, k=5)["item_id"].tolist())
        except ValueError as error:
            answers.append([str(error)])
    keep(answers[0] == answers[1], "the loaded model answers a basket otherwise")


@promise
def files_hold_no_pickle(case: Case) -> None:
    """A saved model is arrays, tables and JSON: reading it runs no code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        case.model.save(path)
        for file in (file for file in path.rglob("*") if file.is_file()):
            start = file.read_bytes()[:2]
            keep(start not in _PICKLES and start != b"PK", f"{file.name} is a pickle or an archive")
            if file.suffix == ".npy":
                keep(not np.load(file, allow_pickle=False).dtype.hasobject, f"{file.name} holds objects")
        open_stored(path, "model")

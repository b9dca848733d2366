"""LightFM beside the library lightfm: seconds of a training with the quality it reaches, and of ranking all users.

Both train with one thread, the same loss, factors and epochs; quality is ndcg@10 on the validation part with its 95 % interval.
Then vectors of the library are ranked twice, with its own `predict` (all items for each user, cut at ten) and with ours, seen
items left out; the scores must be equal. Seconds are of the processor, so that other work on the machine counts less.

    python tests/benchmarks/bench_lightfm.py [--quick]

A library that can not be imported is named and left out: its wheels for Python 3.11 need a C library older than 2.31.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import scipy.sparse
from als_trials import held_out

import recsys
from recsys.fold_in.by_features import to_vectors
from recsys.trainers import Trainer

FACTORS, EPOCHS = 64, 20


def library() -> ModuleType | None:
    """The library, without its warning that it works with one thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import lightfm
        except ImportError as error:
            print(f"lightfm is left out: {error}")
            return None
    return lightfm


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of all threads, and what came of it."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def quality(model: recsys.Model, valid: recsys.Interactions) -> str:
    """ndcg@10 with its interval."""
    row = recsys.evaluate(model, valid, ["ndcg@10"], overlap="drop").summary().iloc[0]
    return f"{row['mean']:.4f} ({row['low']:.4f} to {row['high']:.4f})"


def with_int32(data: recsys.Interactions) -> scipy.sparse.coo_matrix:
    """The entries as the library takes them."""
    parts = (data.weights.copy(), (data.row_positions(), data.indices.copy()))
    return scipy.sparse.coo_matrix(parts, shape=data.shape)


def trained_by(peer: ModuleType, data: recsys.Interactions, loss: str, epochs: int) -> Any:
    """The library's model."""
    model = peer.LightFM(no_components=FACTORS, loss=loss, random_state=0)
    return model.fit(with_int32(data), epochs=epochs, num_threads=1)


def as_ours(theirs: Any, data: recsys.Interactions) -> recsys.Model:
    """Its vectors and biases as a model."""
    rows = {
        side: np.column_stack([getattr(theirs, f"{side}_embeddings"), getattr(theirs, f"{side}_biases")]).astype(np.float32)
        for side in ("user", "item")
    }
    return recsys.Model.from_vectors(data, to_vectors(rows["user"], "users"), to_vectors(rows["item"], "items"))


def ranked_by_predict(theirs: Any, data: recsys.Interactions, users: np.ndarray, k: int) -> np.ndarray:
    """(n, k) the scores of the best unseen items by the library's `predict`."""
    items = np.arange(data.n_items, dtype=np.int32)
    best = np.empty((len(users), k), np.float32)
    for place, user in enumerate(users):
        scores = theirs.predict(int(user), items)
        scores[data.indices[data.indptr[user] : data.indptr[user + 1]]] = -np.inf
        best[place] = np.sort(scores[np.argpartition(-scores, k)[:k]])[::-1]
    return best


def compare_training(peer: ModuleType | None, train: recsys.Interactions, valid: recsys.Interactions, epochs: int) -> None:
    """A line for each loss."""
    for loss in ("warp", "bpr", "warp-kos"):
        trainer: Trainer[recsys.Model] = recsys.LightFM(loss=loss, factors=FACTORS, iterations=epochs)
        trainer.fit(train.select(np.arange(len(train)) < 500))  # compiles
        ours, model = seconds(lambda trainer=trainer: trainer.fit(train))
        print(f"{loss:9} recsys  {ours:7.2f} s   ndcg@10 {quality(model, valid)}")
        if peer is not None:
            theirs, other = seconds(lambda loss=loss: trained_by(peer, train, loss, epochs))
            print(
                f"{'':9} lightfm {theirs:7.2f} s   ndcg@10 {quality(as_ours(other, train), valid)}   ratio {ours / theirs:.2f}"
            )


def compare_ranking(peer: ModuleType, train: recsys.Interactions, n_users: int) -> None:
    """All users' ten best by our search and by the library's predict, from the same vectors."""
    theirs = trained_by(peer, train, "warp", 2)
    model = as_ours(theirs, train)
    users = np.arange(min(n_users, train.n_users))
    model.rank(users[:10], 10, num_threads=1)  # compiles
    ours, lists = seconds(lambda: model.rank(users, 10, num_threads=1))
    other, best = seconds(lambda: ranked_by_predict(theirs, train, users, 10))
    apart = float(np.abs(lists.scores - best).max())
    print(f"ranking {len(users):,} users × {train.n_items:,} items: recsys {ours:.3f} s, lightfm's predict {other:.3f} s, "
          f"ratio {ours / other:.4f}, scores at most {apart:.1e} apart")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer epochs and users")
    quick = parser.parse_args().quick
    train, valid = held_out("lastfm-hetrec")
    peer = library()
    print(train)
    compare_training(peer, train, valid, 3 if quick else EPOCHS)
    if peer is not None:
        compare_ranking(peer, train, 200 if quick else train.n_users)


if __name__ == "__main__":
    main()

"""What every trainer promises (`recsys.testing`), of each of ours; and the loop they share."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
from conftest import random_interactions

import recsys
from recsys.errors import FormatError, MissingExtraError, ParameterError
from recsys.fold_in import Rows
from recsys.storage import open_stored, write_stored
from recsys.testing import CHECKS
from recsys.testing.promises import Case
from recsys.trainers import TRAINERS, make_trainer

# Settings with which a trainer is quick on small data; without an entry its defaults are.
SMALL = {
    "als": {"factors": 4, "iterations": 3},
    "bpr": {"factors": 4, "iterations": 3},
    "ease": {"regularization": 5.0},
    "explicit-als": {"factors": 4, "iterations": 3},
    "glove": {"factors": 4, "iterations": 3},
    "item-knn": {"neighbours": 8},
    "item2vec": {"factors": 4, "iterations": 3},
    "lightfm": {"factors": 4, "iterations": 3},
    "logistic-mf": {"factors": 4, "iterations": 3},
    "pca": {"factors": 4, "iterations": 3},
    "popularity": {},
    "rp3beta": {"neighbours": 8},
    "svd": {"factors": 4, "iterations": 3},
}

# {trainer: {check: why it is not held to it}}
NOT_HELD_TO: dict[str, dict[str, str]] = {}


@pytest.fixture(scope="module")
def cases():
    """A case for each trainer: what one check trained, the others use."""
    return {name: Case(make_trainer(name, SMALL.get(name))) for name in TRAINERS}


@pytest.mark.parametrize("check", CHECKS, ids=str)
@pytest.mark.parametrize("name", sorted(TRAINERS))
def test_every_trainer_keeps_what_is_promised(name, check, cases):
    if why := NOT_HELD_TO.get(name, {}).get(check.name):
        pytest.skip(why)
    try:
        check.run(cases[name])
    except MissingExtraError as error:
        pytest.skip(str(error))


def test_exceptions_name_trainers_and_checks_there_are():
    assert NOT_HELD_TO.keys() <= TRAINERS.keys()
    assert SMALL.keys() <= TRAINERS.keys()
    assert {check for left_out in NOT_HELD_TO.values() for check in left_out} <= {check.name for check in CHECKS}


def test_popularity_scores_by_users_or_by_weight(data):
    by_users = recsys.Popularity().fit(data).item_embeddings.vectors[:, 0]
    assert by_users.tolist() == data.item_counts.tolist()
    by_weight = recsys.Popularity(by="weight").fit(data).item_embeddings.vectors[:, 0]
    np.testing.assert_allclose(by_weight, np.asarray(data.to_csr().sum(axis=0)).ravel())
    with pytest.raises(ParameterError, match="'users' or 'weight'"):
        recsys.Popularity(by="money")


def test_settings_are_parsed_from_text():
    trainer = make_trainer("als", {"factors": "32", "alpha": "0.5", "track_loss": "true", "num_threads": "none"})
    assert trainer == recsys.ALS(factors=32, alpha=0.5, track_loss=True, num_threads=None)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("asl", {}, r"Unknown trainer 'asl'; there are 'als', 'bpr', .*'popularity'.*\. Did you mean 'als'\?"),
        ("als", {"factor": "3"}, r"has no setting 'factor'; it has factors, .*Did you mean 'factors'\?"),
        ("als", {"factors": "many"}, r"The setting `factors` takes int\. Got 'many'"),
        ("als", {"track_loss": "yes"}, r"takes bool\. Got 'yes'"),
        ("als", {"num_threads": "x"}, "takes int or None"),
        ("als", {"factors": "0"}, "must be an int >= 1"),
    ],
)
def test_misspelt_trainers_and_settings_are_named(name, settings, message):
    with pytest.raises(ParameterError, match=message):
        make_trainer(name, settings)


def test_a_callback_sees_every_epoch_and_can_end_the_training(data):
    seen = []

    def callback(epoch):
        seen.append((epoch.number, epoch.snapshot().provenance["training"]["epochs"]))
        return epoch.number == 2

    model = recsys.ALS(factors=4, iterations=9).fit(data, callback=callback)
    assert seen == [(1, 1), (2, 2)]
    assert model.provenance["training"]["epochs"] == 2
    same = recsys.ALS(factors=4, iterations=2).fit(data)
    assert model.item_embeddings.vectors.tobytes() == same.item_embeddings.vectors.tobytes()


def test_an_interrupted_training_goes_on_to_the_same_bytes(data, tmp_path):
    trainer = recsys.ALS(factors=4, iterations=6)

    def interrupt(epoch):
        if epoch.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.fit(data, checkpoint=tmp_path / "state", callback=interrupt)
    epochs = []
    resumed = trainer.fit(data, checkpoint=tmp_path / "state", resume=True, callback=lambda epoch: epochs.append(epoch.number))
    assert epochs == [4, 5, 6]
    whole = trainer.fit(data)
    assert resumed.item_embeddings.vectors.tobytes() == whole.item_embeddings.vectors.tobytes()
    assert resumed.user_embeddings.vectors.tobytes() == whole.user_embeddings.vectors.tobytes()
    assert not (tmp_path / "state").exists()


def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path):
    program = textwrap.dedent(
        """
        import sys, time
        sys.path.insert(0, sys.argv[2])
        import recsys
        from conftest import random_interactions
        recsys.ALS(factors=4, iterations=400).fit(
            random_interactions(), checkpoint=sys.argv[1], callback=lambda epoch: time.sleep(0.02))
        """
    )
    state = tmp_path / "state"
    child = subprocess.Popen([sys.executable, "-c", program, str(state), os.path.dirname(__file__)])
    deadline = time.monotonic() + 60
    while not state.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    epochs = []
    trainer, data = recsys.ALS(factors=4, iterations=400), random_interactions()
    resumed = trainer.fit(data, checkpoint=state, resume=True, callback=lambda epoch: epochs.append(epoch.number))
    assert 1 < epochs[0] <= 400
    assert resumed.item_embeddings.vectors.tobytes() == trainer.fit(data).item_embeddings.vectors.tobytes()


def test_resuming_with_other_settings_or_data_is_refused_with_the_difference_named(data, tmp_path):
    def interrupt(epoch):
        raise KeyboardInterrupt

    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        recsys.ALS(factors=4).fit(data, checkpoint=state, callback=interrupt)
    with pytest.raises(ParameterError, match="written with factors = 4, now it is 8"):
        recsys.ALS(factors=8).fit(data, checkpoint=state, resume=True)
    with pytest.raises(ParameterError, match="written for other data"):
        recsys.ALS(factors=4).fit(data.binarize(), checkpoint=state, resume=True)
    with pytest.raises(ParameterError, match="written with alpha = 1.0, now it is None"):
        recsys.Popularity().fit(data, checkpoint=state, resume=True)
    stored = open_stored(state, "checkpoint")
    arrays = {name: np.array(stored.array(name)) for name in ("users", "items")}
    write_stored(tmp_path / "older", "checkpoint", arrays=arrays, tables={}, attributes=stored.attributes, provenance={})
    with pytest.raises(ParameterError, match="older can not be resumed: another version of recsys wrote it"):
        recsys.ALS(factors=4).fit(data, checkpoint=tmp_path / "older", resume=True)
    # How many threads work does not matter.
    resumed = recsys.ALS(factors=4, num_threads=1).fit(data, checkpoint=state, resume=True)
    assert resumed.provenance["training"]["epochs"] == recsys.ALS().iterations


def test_resuming_without_a_checkpoint_begins_at_the_beginning(data, tmp_path):
    trainer = recsys.ALS(factors=4, iterations=2)
    assert trainer.fit(data, checkpoint=tmp_path / "none", resume=True).provenance["training"]["epochs"] == 2
    with pytest.raises(ParameterError, match="`resume` needs `checkpoint`"):
        trainer.fit(data, resume=True)


def test_a_checkpoint_cut_short_is_refused(data, tmp_path):
    def interrupt(epoch):
        raise KeyboardInterrupt

    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        recsys.ALS(factors=4).fit(data, checkpoint=state, callback=interrupt)
    (state / "users.npy").write_bytes((state / "users.npy").read_bytes()[:-4])
    with pytest.raises(FormatError, match=r"users\.npy is cut short"):
        recsys.ALS(factors=4).fit(data, checkpoint=state, resume=True)


def with_new_ids():
    """Events of two new users and one new item beside known ones."""
    frame = pd.DataFrame({"user": [9001, 9001, 9002, 1003], "item": [5, 12, 99_999, 99_999], "weight": [1.0, 2.0, 1.0, 3.0]})
    return recsys.read_interactions(frame, user="user", item="item", weight="weight")


def test_partial_fit_grows_ids_on_both_sides_and_keeps_old_positions(data):
    model = recsys.ALS(factors=4, iterations=6).fit(data)
    grown = recsys.ALS(factors=4, iterations=1).partial_fit(model, with_new_ids())
    assert grown.users.to_numpy()[: data.n_users].tolist() == data.users.to_numpy().tolist()
    assert grown.users.to_numpy()[data.n_users :].tolist() == [9001, 9002]
    assert grown.items.to_numpy()[data.n_items :].tolist() == [99_999]
    assert len(grown.history) == len(data) + 4
    assert len(model.users) == data.n_users
    # One sweep from there is nearer to where a long training ends than one sweep from nothing.
    merged = data.merge(with_new_ids())

    def loss(trainer, **options):
        seen = []
        trainer.fit(merged, callback=lambda epoch: seen.append(epoch.measured["loss"]), **options)
        return seen[0]

    once = recsys.ALS(factors=4, iterations=1, track_loss=True)
    assert loss(once, warm_start=model) < loss(once)


def test_partially_fitted_users_equal_a_solve_from_scratch_with_the_items_fixed(data):
    model = recsys.ALS(factors=4, iterations=2).partial_fit(recsys.ALS(factors=4, iterations=2).fit(data), with_new_ids())
    history = model.history
    rows = Rows(history.indptr, history.indices, history.weights)
    solved = model.fold_in_method.solve(rows, model.item_embeddings.vectors)
    np.testing.assert_allclose(solved, model.user_embeddings.vectors, atol=1e-4)


def test_starting_from_a_model_that_does_not_fit_is_refused(data):
    model = recsys.ALS(factors=4, iterations=1).fit(data)
    with pytest.raises(ParameterError, match="factors = 8, the model to start from 4"):
        recsys.ALS(factors=8).partial_fit(model, with_new_ids())
    with pytest.raises(ParameterError, match="can not start from a model"):
        recsys.Popularity().partial_fit(model, with_new_ids())

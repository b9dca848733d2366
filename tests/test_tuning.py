"""Tuning: what is proposed, judged, kept and refused; a study survives Ctrl-C and a kill, and goes on as if nothing was."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import optuna
import pandas as pd
import pytest
import threadpoolctl
from conftest import random_interactions

import recsys
from recsys.errors import DataError, FormatError, MissingExtraError, ParameterError
from recsys.trainers import Choice, Range, make_trainer, read_configuration
from recsys.trainers.base import Trainer
from recsys.tuning import TuningInterrupted
from recsys.tuning.space import checked_space, read_dimension

TRAIN, VALID = recsys.split.random(random_interactions(90, 40, 0.2, seed=4), test_fraction=0.3)
SMALL = recsys.ALS(factors=4, iterations=4)


def tune(trainer=SMALL, space=None, **options):
    return recsys.tune(trainer, space, **{"train": TRAIN, "valid": VALID, "metric": "ndcg@10", "n_trials": 4, **options})


def tried(result):
    return [dict(record.settings) for record in result.records]


def outcome(result):
    """Everything that must not depend on when, and by how many processes, it was found."""
    return [(record.settings, record.state, record.value, record.best_epoch, record.curve) for record in result.records]


@pytest.fixture(scope="module")
def ten():
    return tune(n_trials=10)


def test_the_same_seed_tries_the_same_settings_and_finds_the_same_values(ten):
    assert outcome(tune(n_trials=10)) == outcome(ten)
    assert tried(tune(random_state=1))[1:] != tried(ten)[1:4]


def test_the_trainers_own_settings_are_the_first_trial(ten):
    assert tried(ten)[0] == {"unobserved_weight": 0.025, "regularization": 0.003}
    # What lies outside the space is not tried.
    outside = tune(space={"regularization": (0.1, 0.2), "factors": [2, 3, 4]}, n_trials=1)
    assert outside.best.settings["factors"] == 4
    assert 0.1 <= outside.best.settings["regularization"] <= 0.2


def test_trials_stay_within_the_space(ten):
    for settings in tried(ten):
        assert all(settings[name] in dimension for name, dimension in recsys.ALS.search_space.items())
    assert len({tuple(settings.values()) for settings in tried(ten)}) == 10


def test_the_best_trainer_reaches_the_best_value(ten):
    trainer = ten.best_trainer
    assert trainer.iterations == ten.best.best_epoch
    assert trainer.num_threads is None
    found = recsys.evaluate(trainer.fit(TRAIN), VALID, "ndcg@10").summary()
    assert found["mean"][0] == ten.best_value == ten.best.value
    assert (found["low"][0], found["high"][0]) == (ten.best.low, ten.best.high)
    complete = [record.value for record in ten.records if record.state == "complete"]
    assert ten.best_value == max(complete) == max(value for _, value in ten.best.curve)


def test_the_table_has_a_row_a_trial_and_the_curves_a_row_an_epoch(ten):
    table = ten.trials
    assert len(table) == 10
    assert table.columns.tolist()[:4] == ["number", "stage", "state", "value"]
    assert {"seconds", "low", "high", "unobserved_weight", "regularization", "error"} <= set(table.columns)
    assert (table["seconds"] > 0).all()
    assert table.loc[table["state"] == "complete", "n_users"].eq(VALID.n_users).all()
    best = ten.curves.groupby("number")["value"].max()
    np.testing.assert_array_equal(best.to_numpy(), table["value"].to_numpy())
    assert "the best of 10 trials" in repr(ten)
    assert "<table" in ten._repr_html_()


def test_bad_settings_are_pruned_before_their_last_epoch(ten):
    space = {"regularization": [0.003, 0.01, 0.02, 0.03, 0.05, 0.08, 1e4, 2e4, 4e4]}
    result = tune(replace(SMALL, iterations=6), space, n_trials=12, patience=6)
    pruned = [record for record in result.records if record.state == "pruned"]
    assert pruned
    assert max(record.curve[-1][0] for record in pruned) < 6
    assert all(np.isnan(record.low) for record in pruned)
    assert all(record.state == "complete" for record in tune(n_trials=6, prune=False).records)


def test_trials_in_parallel_find_what_they_would_have_found_alone():
    before = threadpoolctl.threadpool_info()
    result = tune(n_trials=7, n_jobs=3, prune=False)
    assert threadpoolctl.threadpool_info() == before
    assert len(result.records) == 7
    for record in result.records:
        trainer = replace(SMALL, **record.settings, iterations=record.best_epoch)
        assert recsys.evaluate(trainer.fit(TRAIN), VALID, "ndcg@10").summary()["mean"][0] == record.value


def test_a_study_in_a_file_goes_on_as_if_it_had_never_stopped(tmp_path, ten):
    file = tmp_path / "a place" / "study 100%.db"
    # From the ninth on trials learn from those before them.
    assert outcome(tune(n_trials=8, storage=file)) == outcome(ten)[:8]
    assert outcome(tune(n_trials=10, storage=file, resume=True)) == outcome(ten)
    assert os.listdir(file.parent) == [file.name]


def test_resume_begins_a_study_where_there_is_none(tmp_path):
    assert len(tune(n_trials=2, storage=tmp_path / "new.db", resume=True).records) == 2


OTHER, _ = recsys.split.random(random_interactions(90, 40, 0.2, seed=4), test_fraction=0.3, random_state=1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"resume": False}, r"already exists\. Hint: ask to resume it"),
        ({"trainer": recsys.ExplicitALS(factors=4)}, "begun with trainer = 'als', now it is 'explicit-als'"),
        ({"trainer": recsys.ALS(factors=5, iterations=4)}, "begun with factors = 4, now it is 5"),
        ({"metric": "recall@10"}, r"begun with metric = 'ndcg@10', now it is 'recall@10'"),
        ({"train": OTHER}, "training data"),
        ({"valid": OTHER, "overlap": "keep"}, "validation data"),
        ({"space": {"regularization": (0.1, 1.0)}}, r"searched settings = \['regularization', 'unobserved_weight'\]"),
        (
            {"space": {"regularization": (0.1, 1.0), "unobserved_weight": (0.003, 1.0, "log")}},
            r"space of regularization = '0\.0003\.\.0\.1:log', now it is '0\.1\.\.1\.0'",
        ),
        ({"random_state": 3}, "random_state = 0, now it is 3"),
        ({"prune": False}, "prune = True, now it is False"),
    ],
)
def test_a_study_of_another_search_is_refused_by_naming_the_difference(tmp_path_factory, changed, message):
    file = tmp_path_factory.getbasetemp() / "shared-study.db"
    if not file.exists():
        tune(n_trials=1, storage=file)
    with pytest.raises(ParameterError, match=message):
        tune(**{"n_trials": 2, "storage": file, "resume": True, **changed})


def test_threads_jobs_and_numbers_of_trials_may_differ(tmp_path):
    tune(n_trials=1, storage=tmp_path / "s.db")
    result = tune(replace(SMALL, num_threads=1), n_trials=3, storage=tmp_path / "s.db", resume=True, n_jobs=2, timeout=500)
    assert len(result.records) == 3


def test_files_that_are_no_study_are_named_and_left_as_they_are(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a study")
    with pytest.raises(FormatError, match=r"notes\.txt is not a study"):
        tune(storage=text, resume=True)
    assert text.read_text() == "not a study"
    with pytest.raises(FormatError, match="is a directory"):
        tune(storage=tmp_path, resume=True)
    foreign = tmp_path / "foreign.db"
    optuna.create_study(storage=f"sqlite:///{foreign}", study_name="theirs")
    with pytest.raises(FormatError, match="is not a study written by recsys"):
        tune(storage=foreign, resume=True)
    damaged = tmp_path / "damaged.db"
    tune(n_trials=1, storage=damaged)
    damaged.write_bytes(damaged.read_bytes()[:5000])
    with pytest.raises(FormatError, match=r"damaged\.db is damaged"):
        tune(storage=damaged, resume=True)


PROGRAM = """
    import sys
    import recsys
    from test_tuning import TRAIN, VALID
    trainer = recsys.ALS(factors=4, iterations={iterations})
    options = dict(train=TRAIN, valid=VALID, metric="ndcg@10", every=30, prune=False)
    recsys.tune(trainer, n_trials={n_trials}, storage=sys.argv[1], resume=True, **options)
"""


def start_process(file, **values):
    program = textwrap.dedent(PROGRAM).format(**values)
    path = os.pathsep.join(sys.path)
    return subprocess.Popen([sys.executable, "-c", program, str(file)], env={**os.environ, "PYTHONPATH": path})


def count_trials(file, state):
    if not file.exists():
        return 0
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30) as database:
        count = database.execute("select count(*) from trials where state = ?", (state,)).fetchone()[0]
    database.close()
    return count


def wait_for(process, happened):
    deadline = time.monotonic() + 120
    while not happened():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_study_goes_on_as_if_it_had_never_stopped(tmp_path):
    file = tmp_path / "study.db"
    process = start_process(file, iterations=90, n_trials=1000)
    try:
        wait_for(process, lambda: count_trials(file, "COMPLETE") >= 2 and count_trials(file, "RUNNING"))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    n_before = count_trials(file, "COMPLETE")
    assert count_trials(file, "RUNNING") == 1
    options = {"trainer": recsys.ALS(factors=4, iterations=90), "every": 30, "prune": False, "n_trials": n_before + 2}
    resumed = tune(storage=file, resume=True, **options)
    assert count_trials(file, "RUNNING") == 0
    assert outcome(resumed) == outcome(tune(**options))


def test_a_trial_that_had_not_yet_said_by_whom_it_was_begun_is_left_to_those_at_work(tmp_path):
    file = tmp_path / "study.db"
    tune(n_trials=1, storage=file)
    study = optuna.load_study(study_name="searched", storage=f"sqlite:///{file}")
    study.ask()
    # This process may be about to say so in another thread.
    tune(n_trials=1, storage=file, resume=True)
    assert count_trials(file, "RUNNING") == 1
    for name in study.user_attrs:
        if name.startswith("process"):
            study.set_user_attr(name, [socket.gethostname(), GONE, "another"])
    tune(n_trials=1, storage=file, resume=True)
    assert count_trials(file, "RUNNING") == 0


# No process has this number: Linux and macOS end before.
GONE = 2**30


def test_several_processes_may_work_on_one_file(tmp_path):
    file = tmp_path / "study.db"
    process = start_process(file, iterations=30, n_trials=8)
    try:
        wait_for(process, file.exists)
        options = {"trainer": recsys.ALS(factors=4, iterations=30), "every": 30, "prune": False, "n_trials": 8}
        tune(storage=file, resume=True, **options)
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
    result = tune(storage=file, resume=True, **options)
    assert 8 <= len(result.records) <= 9  # each ends the trial that it has begun
    assert len({tuple(settings.values()) for settings in tried(result)}) == len(result.records)


@dataclass(frozen=True, kw_only=True)
class Eventful(recsys.ALS):
    """ALS that meets with something at a given start."""

    name: ClassVar[str] = "eventful"
    starts: list = field(default_factory=list, compare=False)
    at: int = 0
    error: str = "interrupt"

    def start(self, train):
        self.starts.append(1)
        if len(self.starts) == self.at:
            if self.error == "interrupt":
                raise KeyboardInterrupt
            raise DataError("The training diverged.")
        return super().start(train)


def eventful(**options):
    # dataclasses.replace hands the same list on to the trainer of each trial.
    return Eventful(factors=4, iterations=4, **options)


def test_ctrl_c_keeps_what_was_found_and_says_so(tmp_path):
    space = {"regularization": (0.001, 0.1, "log")}
    file = tmp_path / "study.db"
    with pytest.raises(TuningInterrupted, match=r"study\.db keeps 2 trials, and resume=True goes on") as caught:
        recsys.tune(eventful(at=3), space, train=TRAIN, valid=VALID, n_trials=5, storage=file)
    assert isinstance(caught.value, KeyboardInterrupt)
    assert len(caught.value.result.records) == 2
    with pytest.raises(TuningInterrupted, match="nothing was kept") as caught:
        recsys.tune(eventful(at=1), space, train=TRAIN, valid=VALID, n_trials=5)
    assert caught.value.result is None


def test_ctrl_c_ends_all_trials_that_run_at_a_time():
    space = {"regularization": (0.001, 0.1, "log")}
    long = Eventful(factors=4, iterations=100_000, at=2)
    with pytest.raises(TuningInterrupted):
        recsys.tune(long, space, train=TRAIN, valid=VALID, n_trials=4, n_jobs=2, patience=100_000)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("trial")]


def test_a_setting_that_can_not_be_trained_is_a_failed_trial():
    space = {"regularization": (0.001, 0.1, "log")}
    result = recsys.tune(eventful(at=3, error="data"), space, train=TRAIN, valid=VALID, n_trials=12)
    assert [record.state == "failed" for record in result.records] == [number == 2 for number in range(12)]
    assert result.trials["error"].dropna().tolist() == ["The training diverged."]


def test_data_that_can_not_be_used_are_no_matter_of_settings():
    with pytest.raises(DataError, match="stand in the model's history"):
        tune(valid=TRAIN)
    with pytest.raises(DataError, match="negative"):
        tune(train=replace_weights(TRAIN))


def replace_weights(data):
    frame = data.to_frame()
    return recsys.read_interactions(frame.assign(weight=-frame["weight"]))


def test_no_trial_begins_after_the_timeout():
    assert len(tune(n_trials=50, timeout=1e-9).records) == 1


def test_the_best_settings_are_grown_to_more_factors(tmp_path):
    file = tmp_path / "study.db"
    result = tune(n_trials=3, grow_to=12, grow_best=2, storage=file)
    searched, grown = result.records[:3], result.records[3:]
    best = sorted(searched, key=lambda record: -record.value if record.state == "complete" else 1)[:2]
    assert [record.settings for record in grown] == [{**record.settings, "factors": 12} for record in best]
    assert {record.stage for record in grown} == {"grown"}
    assert result.best_value == max(record.value for record in result.records if record.state == "complete")
    assert result.trials["factors"].tolist() == [4] * 3 + [12] * 2
    again = tune(n_trials=3, grow_to=12, grow_best=3, storage=file, resume=True)
    assert outcome(again)[:5] == outcome(result)
    assert len(again.records) == 6


def test_errors_of_ratings_are_made_less():
    trainer = recsys.ExplicitALS(factors=2, iterations=4)
    result = tune(trainer, metric="RMSE", n_trials=6)
    assert result.metric == "rmse"
    assert result.best_value == min(record.value for record in result.records if record.state == "complete")
    summary = recsys.evaluate_ratings(result.best_trainer.fit(TRAIN), VALID).summary().set_index("metric")
    assert result.best_value == pytest.approx(summary.loc["rmse", "mean"], rel=1e-12)
    by_mae = tune(trainer, metric="mae", n_trials=1)
    summary = recsys.evaluate_ratings(by_mae.best_trainer.fit(TRAIN), VALID).summary().set_index("metric")
    assert by_mae.best_value == pytest.approx(summary.loc["mae", "mean"], rel=1e-12)
    with pytest.raises(ParameterError, match="als predicts none"):
        tune(metric="rmse")


def test_users_held_out_of_training_are_folded_in():
    train, fold_in, test = split_users()
    options = {"train": train, "valid": test}
    with pytest.raises(DataError, match="knows none of the"):
        tune(**options)
    result = tune(**options, fold_in=fold_in, n_trials=2)
    model = result.best_trainer.fit(train).fold_in(fold_in, unknown="skip")
    assert recsys.evaluate(model, test, "ndcg@10").summary()["mean"][0] == result.best_value


def split_users():
    cut = recsys.split.users(random_interactions(90, 40, 0.2, seed=4), test_fraction=0.3)
    return cut.train, cut.fold_in, cut.test


def test_popularity_has_nothing_to_tune_but_what_it_is_told():
    with pytest.raises(
        ParameterError, match=r"popularity has nothing that is worth tuning\. Hint: `space` may name settings: by"
    ):
        tune(recsys.Popularity())
    result = tune(recsys.Popularity(), {"by": ["users", "weight"]}, n_trials=4)
    assert set(result.trials["by"]) == {"users", "weight"}


def test_every_trainer_advises_a_space_that_it_takes():
    for trainer in (recsys.ALS(), recsys.ExplicitALS()):
        space = checked_space(trainer, None)
        assert space == type(trainer).search_space
        own = {name: getattr(trainer, name) in dimension for name, dimension in space.items()}
        assert all(own.values()), own


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "`space` must be a dict"),
        ([("factors", [1])], "`space` must be a dict"),
        ({"factor": [1, 2]}, r"no setting 'factor' to search; it has .*Did you mean 'factors'\?"),
        ({"factors": (32, 64, 128)}, r"must be \(low, high\).*Hint: write \[32, 64, 128\] for a choice"),
        ({"factors": (1, 4, "lgo")}, r"must be \(low, high\)"),
        ({"factors": 8}, r"must be \(low, high\).*Got 8\."),
        ({"factors": (1.5, 4)}, "takes whole numbers"),
        ({"factors": [0, 4]}, "`factors` parameter of ALS must be an int >= 1. Got 0"),
        ({"regularization": (0.0, 0.1, "log")}, "must begin above 0"),
        ({"regularization": (0.0, 0.1)}, "must be a finite number > 0. Got 0.0"),
        ({"regularization": (0.1, 0.01)}, "from a lower to a higher number. Got 0.1 to 0.01"),
        ({"regularization": ("a", 0.1)}, "`low` of a Range must be a finite number"),
        ({"regularization": [0.1, 0.1]}, "must not name a value twice"),
        ({"factors": []}, "needs texts, numbers"),
        ({"weighting": ("a", "b")}, "`low` of a Range"),
        ({"weighting": (1, 2)}, "`weighting` is no number"),
        ({"weighting": ["rendle2022", "hu2009"]}, "'rendle2022', 'hu2008', 'implicit'. Got 'hu2009'"),
        ({"random_state": [0, 1]}, "`random_state` can not be searched"),
        ({"iterations": (1, 9)}, "`iterations` can not be searched: every trial is judged epoch by epoch"),
    ],
)
def test_wrong_spaces_are_named(space, message):
    with pytest.raises(ParameterError, match=message):
        tune(space=space)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trainer": recsys.ALS}, "Got the class ALS"),
        ({"trainer": "als"}, "Got 'als'"),
        ({"train": None}, "tune takes Interactions"),
        ({"valid": None}, "takes Interactions"),
        ({"metric": "ndgc@10"}, "ndcg"),
        ({"metric": "ndcg@10,recall@10"}, "one metric"),
        ({"metric": "coverage@10"}, "watches how well relevant items are ranked, by recall, .*Got 'coverage@10'"),
        ({"metric": "novelty@10"}, "watches how well relevant items are ranked"),
        ({"n_trials": 0}, "`n_trials` must be an int >= 1"),
        ({"n_jobs": 0}, "`n_jobs`"),
        ({"n_jobs": True}, "`n_jobs`"),
        ({"patience": 0}, "`patience`"),
        ({"timeout": 0}, "`timeout` must be a number of seconds"),
        ({"timeout": "1 h"}, "`timeout`"),
        ({"resume": True}, "`resume` needs `storage`"),
        ({"random_state": -1}, "`random_state`"),
        ({"grow_to": 4}, "`grow_to` must be more factors than the 4"),
        ({"grow_to": 16, "space": {"factors": [8, 16]}}, "more factors than the 16"),
        ({"grow_to": 16, "grow_best": 0}, "`grow_best`"),
        ({"grow_to": 16, "trainer": recsys.Popularity(), "space": {"by": ["users"]}}, "popularity has none"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        tune(**options)


@pytest.mark.parametrize(
    ("name", "text", "dimension"),
    [
        ("regularization", "1e-4..0.1:log", Range(1e-4, 0.1, log=True)),
        ("regularization", " .1 .. 2 ", Range(0.1, 2)),
        ("factors", "8..64:log", Range(8, 64, log=True)),
        ("factors", "8, 16,32", Choice((8, 16, 32))),
        ("weighting", "hu2008,rendle2022", Choice(("hu2008", "rendle2022"))),
    ],
)
def test_spaces_can_be_written_as_text(name, text, dimension):
    assert read_dimension("als", name, text) == dimension
    if isinstance(dimension, Range):
        assert read_dimension("als", name, str(dimension)) == dimension


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        (Range(2, 5), [2, 2, 3, 3, 4, 4, 5, 5]),
        (Range(1, 7, log=True), [1, 1, 1, 2, 3, 4, 5, 7]),
        (Range(0.0, 8.0), [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]),
        (Choice(("a", "b")), ["a"] * 4 + ["b"] * 4),
    ],
)
def test_every_value_has_its_share_of_the_space(dimension, values):
    found = [dimension.at((place + 0.5) / 8) for place in range(8)]
    assert found == values
    assert all(value in dimension for value in found)


def test_the_first_trials_leave_no_large_gap():
    space = {"regularization": (0.0, 1.0), "unobserved_weight": (1e-9, 1.0)}
    with pytest.raises(ParameterError, match="> 0"):
        tune(space=space)
    space["regularization"] = (1e-9, 1.0)
    points = np.sort([settings["regularization"] for settings in tried(tune(space=space, n_trials=8))[1:]])
    assert np.diff(points).max() < 0.35


def test_a_configuration_file_gives_back_the_trainer_with_what_is_known_of_it(tmp_path, ten):
    ten.save(tmp_path / "als.toml")
    assert make_trainer(*read_configuration(tmp_path / "als.toml")) == ten.best_trainer
    text = (tmp_path / "als.toml").read_text()
    assert f"ndcg@10 on the validation data: {ten.best_value:.4f} (95 % interval {ten.best.low:.4f}" in text
    assert TRAIN.fingerprint in text
    assert VALID.fingerprint in text
    assert "the best of 10 trials" in text
    assert all(line.startswith("#") for line in text.partition("[train]")[0].splitlines())
    with pytest.raises(ParameterError, match="already exists"):
        ten.save(tmp_path / "als.toml")


def test_optuna_stays_as_it_was_found(capsys):
    before = optuna.logging.get_verbosity()
    tune(n_trials=2)
    assert optuna.logging.get_verbosity() == before
    assert capsys.readouterr() == ("", "")
    tune(n_trials=2, progress=True)
    assert re.search(r"Tuning.*2/2.*best ndcg@10 0\.\d{4}", capsys.readouterr().err)


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'recsys\[tune\]'"):
        tune()


def test_trials_do_not_warn_of_settings_that_are_too_strong():
    result = tune(space={"regularization": [1e6, 0.01]}, n_trials=2)
    assert isinstance(result.trials, pd.DataFrame)
    assert issubclass(type(result.trainer), Trainer)

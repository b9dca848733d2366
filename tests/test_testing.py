"""`recsys.testing` finds what a trainer does wrong: each check fails on a trainer made to break it, and passes a sound one."""

import ast
import dataclasses
import importlib.util
import os
import pickle
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import recsys
from recsys.errors import MissingExtraError, ParameterError, UnknownIdError
from recsys.fold_in import Rows, WeightedMean
from recsys.ids import IdMap
from recsys.model import Model
from recsys.testing import CHECKS, BrokenPromiseError, check_trainer
from recsys.trainers import Range
from recsys.trainers.base import Factors, Run, Trainer

BY_NAME = {check.name: check for check in CHECKS}


@dataclass(frozen=True, kw_only=True)
class Sound(Trainer[Model]):
    """A trainer that keeps its promises: random vectors from the seed that grow a little with each epoch."""

    name: ClassVar[str] = "sound"
    advice: ClassVar[str] = "to be broken"

    factors: int = 3
    """Length of the vectors."""
    iterations: int = 2
    """How often they grow."""
    random_state: int = 0
    """Seed of the vectors."""
    num_threads: int | None = None
    """Threads; changes nothing."""

    def __post_init__(self):
        self._check_integer("factors", at_least=1)
        self._check_integer("iterations", at_least=1)
        self._check_integer("random_state", at_least=0)
        self._check("num_threads", "an int >= 1 or None", self.num_threads is None or self.num_threads >= 1)

    def start(self, train):
        return SoundRun(self, train)


class SoundRun(Run):
    def __init__(self, trainer, train):
        train.refuse_negative_weights("Sound")
        self.trainer, self.train, self.epochs = trainer, train, trainer.iterations
        generator = np.random.default_rng(trainer.random_state)
        self.items = generator.standard_normal((train.n_items, trainer.factors), dtype=np.float32)

    def train_epoch(self):
        self.items = self.items * np.float32(1.01)
        return {"length": float(np.linalg.norm(self.items))}

    def factors(self):
        fold_in = WeightedMean()
        rows = Rows.of(self.train, "users")
        return Factors(fold_in.solve(rows, self.items), self.items.copy(), fold_in)

    def state(self):
        return {"items": self.items}

    def restore(self, state):
        self.items = state["items"]


def broken(run=SoundRun, **members):
    """A trainer like `Sound`, but for these members or this run."""
    own = {"__doc__": "A trainer that breaks a promise.", "start": lambda self, train: run(self, train)}
    made = type("Broken", (Sound,), own | members)
    return dataclasses.dataclass(frozen=True, kw_only=True)(made)


def run_that(**members):
    return type("BrokenRun", (SoundRun,), members)


# ---- trainers that break one promise each --------------------------------------------------------------------------


def model_that(**members):
    """A trainer whose models are of a kind with these members."""
    kind = type("BrokenModel", (Model,), members)

    class Outcome(Factors):
        def model(self, train, provenance):
            sound = Factors.model(self, train, provenance)
            return kind(**{field.name: getattr(sound, field.name) for field in dataclasses.fields(sound)})

    def outcome(self):
        made = SoundRun.factors(self)
        return Outcome(made.users, made.items, made.fold_in)

    return broken(run_that(factors=outcome))


def other_ids(self, users=None, **options):
    return Model.recommend(self, users, **options).assign(item_id="stranger")


def recommends_with(**overridden):
    def recommend(self, users=None, **options):
        return Model.recommend(self, users, **{**options, **overridden})

    return recommend


def sorted_users(self, users=None, **options):
    return Model.recommend(self, users if users is None else sorted(users), **options)


def scoreless_ids(self, users=None, **options):
    try:
        return Model.recommend(self, users, **options)
    except UnknownIdError:
        raise UnknownIdError("Somebody is unknown.") from None


def random_items(self, trainer, train):
    SoundRun.__init__(self, trainer, train)
    self.items = np.random.default_rng().standard_normal(self.items.shape, dtype=np.float32)


def items_by_threads(self, trainer, train):
    SoundRun.__init__(self, trainer, train)
    self.items = self.items * np.float32(trainer.num_threads or 1)


def remembering():
    """A trainer that keeps something from one training to the next."""
    trainings = []

    def begin(self, trainer, train):
        SoundRun.__init__(self, trainer, train)
        trainings.append(train)
        self.items = self.items * np.float32(len(trainings))

    return broken(run_that(__init__=begin))


def changes_the_log(self, trainer, train):
    SoundRun.__init__(self, trainer, train)
    object.__setattr__(train, "weights", train.weights * 2)


def prints(self):
    print("epoch")
    return SoundRun.train_epoch(self)


def speaks_below_python(self):
    os.write(2, b"note\n")
    return SoundRun.train_epoch(self)


def measures_a_text(self):
    return SoundRun.train_epoch(self) | {"note": 1}


def growing_factors(self):
    """Asking for the vectors moves them."""
    self.items = self.items * np.float32(1.5)
    return SoundRun.factors(self)


def swallows(self, *args, **options):
    try:
        return Sound.fit(self, *args, **options)
    except KeyboardInterrupt:
        return Sound.fit(self, *args)


def litters(self, *args, checkpoint=None, **options):
    if checkpoint is not None:
        (checkpoint.parent / "scratch").write_text("x", encoding="utf-8")
    return Sound.fit(self, *args, checkpoint=checkpoint, **options)


def forgets_the_checkpoint(self, *args, checkpoint=None, resume=False, **options):
    return Sound.fit(self, *args, checkpoint=checkpoint, **options)


def takes_anything(self, train, **options):
    if not isinstance(train, recsys.Interactions) or len(train) == 0:
        return None
    return Sound.fit(self, train, **options)


def fails_on_tiny(self, trainer, train):
    SoundRun.__init__(self, trainer, train)
    if min(train.shape) == 1:
        raise ZeroDivisionError("division by zero")


def drops_silent_ids(self, trainer, train):
    SoundRun.__init__(self, trainer, train)
    if (train.item_counts == 0).any():
        raise IndexError("an item without events")


def needs_variance(self, trainer, train):
    SoundRun.__init__(self, trainer, train)
    if train.weights.std() == 0:
        raise ZeroDivisionError("standard deviation")


def overflows(self, trainer, train):
    SoundRun.__init__(self, trainer, train)
    if train.weights.max() > 1e20:
        raise FloatingPointError("overflow")


def takes_square_roots(self, trainer, train):
    SoundRun.__init__(self, trainer, train)
    if train.weights.min() <= 0:
        raise ValueError("logarithm of 0")


def no_provenance(self, train, outcome, measured):
    return outcome.model(train, {"trainer": self.name, "data": {}})


def warns(self):
    warnings.warn("OpenBLAS is configured to use 2 threads", RuntimeWarning, stacklevel=1)
    return SoundRun.train_epoch(self)


def saves_a_pickle(self, path, *, overwrite=False):
    Model.save(self, path, overwrite=overwrite)
    (path / "extra.bin").write_bytes(pickle.dumps({"a": 1}))


def saves_less(self, path, *, overwrite=False):
    dataclasses.replace(Model.from_vectors(self.history, self.user_embeddings.vectors, self.item_embeddings.vectors)).save(
        path, overwrite=overwrite
    )


def explains_halves(self, user, item, k=5):
    table = Model.explain(self, user, item, k)
    table["contribution"] /= 2
    return table


def is_its_own_neighbour(self, items=None, k=10, **options):
    table = Model.similar_items(self, items, k, **options)
    return table.assign(similar_item_id=table["item_id"])


def folds_others_too(self, events, **options):
    grown = Model.fold_in(self, events, **options)
    vectors = grown.user_embeddings.vectors * -1
    return Model.from_vectors(grown.history, vectors, grown.item_embeddings.vectors, fold_in=grown.fold_in_method)


def basket_of_the_first(self, items, **options):
    return Model.recommend_basket(self, items[:1], k=options["k"])


def scores_twice(self, users, items, **options):
    return Model.score(self, users, items, **options) * 2


def keeps_ids_sorted(self, train, provenance):
    order = np.argsort(train.users.to_numpy())
    users = IdMap(train.users.to_numpy()[order], name="user_id")
    return Model.from_vectors(dataclasses.replace(train, users=users), self.users, self.items, fold_in=self.fold_in)


def with_sorted_ids():
    class Outcome(Factors):
        model = keeps_ids_sorted

    def factors(self):
        made = SoundRun.factors(self)
        return Outcome(made.users, made.items, made.fold_in)

    return broken(run_that(factors=factors))


def thawed():
    kind = broken()
    kind.__setattr__ = object.__setattr__
    return kind


@dataclass(frozen=True, kw_only=True)
class Undescribed(Sound):
    """Its one setting has no text."""

    depth: int = 1


BROKEN = {
    "ids_come_back": with_sorted_ids(),
    "users_come_in_the_order_asked_for": model_that(recommend=sorted_users),
    "unknown_users_are_named_or_served": model_that(recommend=scoreless_ids),
    "seen_items_are_never_recommended": model_that(recommend=recommends_with(exclude_seen=False)),
    "filters_hold": model_that(recommend=recommends_with(only_items=None)),
    "scores_are_those_of_the_lists": model_that(score=scores_twice),
    "fitting_twice_gives_the_same_model": broken(run_that(__init__=random_items)),
    "threads_change_nothing": broken(run_that(__init__=items_by_threads)),
    "the_model_is_evaluated": model_that(rank=lambda self, *args, **options: None),
    "new_users_are_folded_in_or_refused": model_that(fold_in=folds_others_too),
    "baskets_score_like_folded_in_users": model_that(recommend_basket=basket_of_the_first),
    "reasons_sum_to_the_score_or_are_refused": model_that(explain=explains_halves),
    "likeness_is_shown_or_refused": model_that(similar_items=is_its_own_neighbour),
    "embeddings_are_of_the_log": broken(makes_embeddings=False),
    "a_loaded_model_gives_the_same_lists": model_that(save=saves_less),
    "files_hold_no_pickle": model_that(save=saves_a_pickle),
    "progress_is_shown_on_standard_error_only": broken(run_that(train_epoch=prints)),
    "a_callback_sees_every_epoch": broken(run_that(factors=growing_factors)),
    "a_callback_ends_the_training": broken(fit=lambda self, train, callback=None, **options: Sound.fit(self, train, **options)),
    "an_interrupted_training_leaves_nothing_but_its_checkpoint": broken(fit=litters),
    "an_interrupted_training_goes_on_to_the_same_bytes": broken(run_that(restore=lambda self, state: None)),
    "a_checkpoint_of_other_data_is_refused": broken(fit=forgets_the_checkpoint),
    "no_interactions_are_refused": broken(fit=takes_anything),
    "tiny_logs_are_trained_on_or_refused": broken(run_that(__init__=fails_on_tiny)),
    "ids_without_events_do_no_harm": broken(run_that(__init__=drops_silent_ids)),
    "weights_all_alike_are_trained_on": broken(run_that(__init__=needs_variance)),
    "huge_weights_are_trained_on_or_refused": broken(run_that(__init__=overflows)),
    "negative_and_zero_weights_are_trained_on_or_refused": broken(run_that(__init__=takes_square_roots)),
    "data_and_settings_stay_as_they_are": broken(run_that(__init__=changes_the_log)),
    "the_trainer_is_a_frozen_configuration": thawed(),
    "the_trainer_says_what_it_is_for": broken(name="Sound Trainer"),
    "every_setting_is_described_and_has_a_default": Undescribed,
    "the_search_space_can_be_searched": broken(search_space={"iterations": Range(1, 9)}),
    "settings_are_read_from_text": broken(__post_init__=lambda self: object.__setattr__(self, "factors", 7 - self.factors)),
    "impossible_settings_are_refused": broken(__post_init__=lambda self: None),
    "provenance_is_complete": broken(_model=no_provenance),
}


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_a_sound_trainer_keeps_every_promise(check):
    check(Sound())


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_each_check_finds_a_trainer_that_breaks_it(check):
    with pytest.raises(BrokenPromiseError, match=check.name):
        check(BROKEN[check.name]())


# Other ways to break some of them.
MORE = [
    ("ids_come_back", model_that(recommend=other_ids), "which is none of the log"),
    ("ids_come_back", broken(run_that(train_epoch=warns)), "it warned: RuntimeWarning: OpenBLAS"),
    ("fitting_twice_gives_the_same_model", remembering(), "another model"),
    ("progress_is_shown_on_standard_error_only", broken(run_that(train_epoch=speaks_below_python)), "without progress it said"),
    ("a_callback_sees_every_epoch", broken(run_that(train_epoch=measures_a_text)), "is no float"),
    ("an_interrupted_training_goes_on_to_the_same_bytes", broken(fit=swallows), "did not come through"),
    ("seen_items_are_never_recommended", model_that(recommend=recommends_with(k=3)), "do not hold all that is left"),
]


@pytest.mark.parametrize(("name", "trainer", "message"), MORE)
def test_checks_find_other_faults_too(name, trainer, message):
    with pytest.raises(BrokenPromiseError, match=message):
        BY_NAME[name](trainer())


def test_all_checks_at_once_name_what_was_kept_and_what_was_broken():
    assert check_trainer(Sound()) == [check.name for check in CHECKS]
    with pytest.raises(BrokenPromiseError) as caught:
        check_trainer(broken(name="Sound Trainer", makes_embeddings=False)())
    broken_promises = str(caught.value).splitlines()
    assert [line.split("'")[1] for line in broken_promises] == ["embeddings_are_of_the_log", "the_trainer_says_what_it_is_for"]


def test_a_check_is_left_out_with_a_reason():
    reason = {"the_trainer_says_what_it_is_for": "its name is old"}
    assert "the_trainer_says_what_it_is_for" not in check_trainer(broken(name="Sound Trainer")(), leave_out=reason)
    with pytest.raises(ParameterError, match=r"There is no check 'filters'\. Did you mean 'filters_hold'\?"):
        check_trainer(Sound(), leave_out={"filters": "no"})


def test_what_is_no_trainer_is_refused():
    with pytest.raises(ParameterError, match="Got the class Sound"):
        check_trainer(Sound)
    with pytest.raises(ParameterError, match="Got str"):
        CHECKS[0]("als")


def test_a_library_that_is_not_there_breaks_no_promise():
    def start(self, train):
        raise MissingExtraError("The trainer 'broken'", "word2vec")

    with pytest.raises(MissingExtraError, match="recsys\\[word2vec\\]"):
        check_trainer(broken(start=start)())


def test_the_trainer_of_the_documentation_passes(tmp_path, monkeypatch):
    documentation = recsys.testing.__doc__
    lines = documentation[documentation.index("    from dataclasses") : documentation.index("In a test suite")].splitlines()
    program = tmp_path / "mean_weight.py"
    program.write_text("\n".join(line[4:] for line in lines), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("mean_weight", program)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mean_weight", module)
    spec.loader.exec_module(module)
    assert module.MeanWeight(shrinkage=0.5).name == "mean-weight"


def test_checks_need_no_pytest():
    sources = Path(recsys.testing.__file__).parent.glob("*.py")
    imports = [node for source in sources for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))]
    named = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module for node in imports if isinstance(node, ast.ImportFrom)}
    assert "numpy" in named
    assert not {name for name in named if name.startswith(("pytest", "_pytest", "hypothesis"))}

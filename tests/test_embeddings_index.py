"""Approximate indexes of embeddings: each metric, measured recall, files, stale ones, the command line."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import recsys
from recsys.cli import commands
from recsys.errors import InputError, MissingExtraError, ParameterError
from recsys.retrieval.approximate import measure

faiss = pytest.importorskip("faiss", reason="indexes need faiss, the extra ann")

METRICS = ["cosine", "dot", "euclidean"]
N, DIM = 1500, 10


@pytest.fixture(scope="module", autouse=True)
def times_are_measured_briefly():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_SINGLE_SECONDS", 0.001)
        patch.setattr(measure, "_BATCH_SECONDS", 0.001)
        patch.setattr(measure, "_BATCH_QUERIES", 100)
        yield


def clustered(seed=0):
    """Clusters off the origin, lengths that differ; id 3 has a zero vector."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((15, DIM))
    vectors = centres[generator.integers(0, 15, N)] + 0.5 * generator.standard_normal((N, DIM)) + 0.3
    vectors *= generator.lognormal(0, 0.4, (N, 1))
    vectors[3] = 0
    return recsys.Embeddings.from_arrays([f"i{number}" for number in range(N)], vectors, name="item_id")


@pytest.fixture(scope="module")
def items():
    return clustered()


@pytest.fixture(scope="module")
def indexed(items):
    """With one index for each metric, of its name."""
    for metric in METRICS:
        items = items.build_index("ivf", name=metric, metric=metric, target_recall=0.9, n_queries=100)
    return items


@pytest.mark.parametrize("metric", METRICS)
def test_an_index_finds_most_of_the_nearest_and_scores_them_as_the_exact_search(metric, indexed):
    exact = indexed.neighbours(k=10, metric=metric)
    found = indexed.neighbours(k=10, index=metric)
    assert found.groupby("item_id").size().equals(exact.groupby("item_id").size())
    both = exact.merge(found, on=["item_id", "similar_item_id"], suffixes=("_exact", "_found"))
    assert len(both) > 0.85 * len(exact)
    np.testing.assert_array_equal(both.score_found, both.score_exact)


@pytest.mark.parametrize("metric", METRICS)
def test_a_graph_serves_every_metric(metric, items, tmp_path):
    graph = items.build_index("hnsw", metric=metric, target_recall=0.9, n_queries=100)
    exact = items.neighbours(k=10, metric=metric)
    found = graph.neighbours(k=10, index="hnsw")
    assert len(exact.merge(found, on=["item_id", "similar_item_id"])) > 0.85 * len(exact)
    graph.save(tmp_path / "items")
    pd.testing.assert_frame_equal(recsys.load(tmp_path / "items").neighbours(k=10, index="hnsw"), found)


@pytest.mark.parametrize("metric", METRICS)
def test_its_record_tells_the_metric_and_the_recall_that_was_measured(metric, indexed):
    found = indexed.indexes[metric].describe()
    assert found["metric"] == metric
    assert found["n_queries"] == 50
    assert 0.85 < found["recall"] <= 1
    assert found["recall_low"] < found["recall"] <= found["recall_high"]
    assert indexed.metric_of(metric) == metric


def test_each_question_is_answered_by_the_index_that_it_names(indexed):
    near = indexed.nearest("i5", 4, index="euclidean")
    assert "i5" not in near.item_id.tolist()
    assert (near.score <= 0).all()
    asked = [
        (indexed.nearest(["i1", "i2"], 3, index="cosine"), indexed.nearest(["i1", "i2"], 3)),
        (indexed.nearest(indexed["i1"], 1, index="cosine"), indexed.nearest(indexed["i1"], 1)),
        (indexed.analogy(positive=["i1", "i2"], negative=["i9"], k=3, index="cosine"), None),
        (indexed.between("i1", "i2", 3, index="cosine"), indexed.between("i1", "i2", 3)),
    ]
    for found, exact in asked:
        assert found.columns.tolist() == ["item_id", "score", "rank"]
        if exact is not None:
            assert set(found.item_id) & set(exact.item_id)


def test_a_zero_vector_is_nobodys_neighbour_by_the_index_of_cosine_either(indexed):
    assert indexed.nearest("i3", index="cosine").empty
    assert "i3" not in set(indexed.neighbours(k=20, index="cosine").similar_item_id)
    assert len(indexed.nearest("i3", 5, index="euclidean")) == 5


def test_an_index_answers_for_its_own_metric_only(indexed):
    pd.testing.assert_frame_equal(
        indexed.nearest("i5", metric="euclidean", index="euclidean"), indexed.nearest("i5", index="euclidean")
    )
    with pytest.raises(ParameterError, match=r"'euclidean' was built for the metric 'euclidean', not for 'dot'\. Hint"):
        indexed.nearest("i5", metric="dot", index="euclidean")
    with pytest.raises(ParameterError, match="'euclidean' was built for the metric 'euclidean', not for 'cosine'"):
        indexed.analogy(positive=["i5"], index="euclidean")
    with pytest.raises(
        ParameterError, match=r"one of 'exact', 'cosine', 'dot'.* Got 'cosin'\. Did you mean 'cosine'\? Hint: emb"
    ):
        indexed.nearest("i5", index="cosin")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"metric": "cos"}, r"`metric` must be one of 'cosine', 'dot', 'euclidean'\. Got 'cos'"),
        ({"kind": "tree"}, "`kind` must be one of 'auto'"),
        ({"name": "exact"}, "and not be 'exact'"),
        ({"n_queries": 3}, "`n_queries` must be an int >= 20. Got 3"),
        ({"target_recall": 0}, "`target_recall` must be a number above 0"),
    ],
)
def test_wrong_arguments_are_named(items, wrong, message):
    with pytest.raises(ParameterError, match=message):
        items.build_index(**wrong)


def test_embeddings_without_vectors_to_measure_by_can_not_be_indexed():
    with pytest.raises(InputError, match="An index needs items, and two queries or more"):
        recsys.Embeddings.from_arrays(["a", "b"], np.zeros((2, 3))).build_index("ivf")


def test_without_the_library_the_extra_is_named(items, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"recsys\[ann\]"):
        items.build_index("ivf")


def test_the_same_seed_gives_the_same_index_and_any_number_of_threads_the_same_lists(items, indexed):
    again = items.build_index("ivf", name="cosine", target_recall=0.9, n_queries=100)
    one, other = (side.indexes["cosine"].engine for side in (again, indexed))
    # Which reduction is taken goes by measured times.
    if one.reduction == other.reduction:
        assert all(array.tobytes() == other.arrays()[name].tobytes() for name, array in one.arrays().items())
    lists = [indexed.neighbour_lists(np.arange(200), 5, index="dot", num_threads=n).positions for n in (1, 2)]
    assert lists[0].tobytes() == lists[1].tobytes()


def test_indexes_are_saved_with_the_vectors_and_answer_the_same(indexed, tmp_path):
    indexed.save(tmp_path / "items")
    loaded = recsys.load(tmp_path / "items")
    assert list(loaded.indexes) == METRICS[:1] + METRICS[1:]
    for metric in METRICS:
        pd.testing.assert_frame_equal(loaded.nearest("i7", index=metric), indexed.nearest("i7", index=metric))
    assert not recsys.load(tmp_path / "items").take(["i1", "i2"]).indexes


def test_a_stale_index_is_refused(indexed, items, tmp_path):
    items.remove(items["i1"]).save(tmp_path / "items")
    indexed.indexes["dot"].save(tmp_path / "items" / "indexes" / "dot")
    with pytest.raises(InputError, match=r"'dot' is stale: it was built from other vectors than there are in the embeddings"):
        recsys.load(tmp_path / "items").nearest("i1", index="dot")
    shown = run("info", tmp_path / "items")
    assert "The index dot is stale: the vectors changed since it was built." in shown.stdout


def run(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def test_the_command_line_builds_shows_and_uses_an_index(items, tmp_path):
    items.save(tmp_path / "items")
    build = ("index", tmp_path / "items", "--kind", "ivf", "--metric", "euclidean", "--target-recall", 0.9, "--n-queries", 60)
    written = json.loads(run(*build, "--json").stdout)
    assert written["index"]["metric"] == "euclidean"
    shown = run("info", tmp_path / "items")
    assert f"{tmp_path / 'items'} holds embeddings of " in shown.stdout
    assert "index ivf: ivf, " in shown.stdout
    assert ", by euclidean" in shown.stdout
    assert json.loads(run("info", tmp_path / "items", "--json").stdout)["indexes"]["ivf"]["stale"] is False
    found = json.loads(run("embeddings", "nearest", tmp_path / "items", "i5", "--index", "ivf", "--json").stdout)
    assert found["metric"] == "euclidean"
    loaded = recsys.load(tmp_path / "items")
    assert [entry["id"] for entry in found["nearest"]] == loaded.nearest("i5", index="ivf").item_id.tolist()
    again = run(*build, "--name", "second")
    assert "Recall: mean over 30 ids that parameters were not chosen by" in again.stdout


def test_wrong_calls_of_the_command_line_are_one_sentence(items, tmp_path):
    items.save(tmp_path / "items")
    items.to_file(tmp_path / "items.vec")
    calls = {
        ("index", tmp_path / "items.vec"): "Hint: recsys embeddings import makes a directory of it.",
        ("embeddings", "nearest", tmp_path / "items", "i1", "--index", "ivf"): "Hint: recsys index makes one.",
        ("index", tmp_path / "nothing"): "nothing does not exist.",
    }
    for arguments, words in calls.items():
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert words in result.stderr

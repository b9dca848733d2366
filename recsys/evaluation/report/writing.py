"""`write_report`: which sections a page has, and putting it on disk. May import errors, storage and the rest of evaluation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from recsys.errors import ParameterError
from recsys.evaluation.ranker import Ranker
from recsys.evaluation.report.cards import about_data, cards_section, moment
from recsys.evaluation.report.charts import require_altair
from recsys.evaluation.report.comparing import comparison_section, comparison_sentences, differences_from
from recsys.evaluation.report.cutoffs import cutoffs_section
from recsys.evaluation.report.distributions import distributions_section
from recsys.evaluation.report.evidence import Evidence, gather_evidence
from recsys.evaluation.report.examples import examples_section
from recsys.evaluation.report.figure import Section
from recsys.evaluation.report.page import page
from recsys.evaluation.report.slicing import slices_section
from recsys.evaluation.report.summary import cautions, summary_section, verdict
from recsys.evaluation.report.titles import Titles
from recsys.evaluation.result import EvaluationResult
from recsys.storage import write_file

__all__ = ["report_page", "write_report"]


def write_report(
    result: EvaluationResult,
    path: str | os.PathLike[str],
    *,
    compare_with: Mapping[str, EvaluationResult] | None = None,
    name: str | None = None,
    model: Ranker | None = None,
    titles: pd.DataFrame | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes the page; see `EvaluationResult.report`."""
    require_altair()
    with write_file(path, overwrite=overwrite) as temporary:
        text = report_page(result, compare_with=compare_with, name=name, model=model, titles=titles)
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def report_page(
    result: EvaluationResult,
    *,
    compare_with: Mapping[str, EvaluationResult] | None = None,
    name: str | None = None,
    model: Ranker | None = None,
    titles: pd.DataFrame | None = None,
) -> str:
    """The text of the page; see `EvaluationResult.report`."""
    name, others = name or _name_of(result), dict(compare_with or {})
    evidence = gather_evidence(result, model)
    if titles is not None and (evidence is None or evidence.shown is None):
        raise ParameterError("`titles` are for examples of lists. Hint: evaluate with keep_lists=True, or pass the model= too.")
    sections, sentences = [summary_section(result)], verdict(result, evidence)
    if others:
        table = differences_from(result, name, others)
        first, *others_in_words = comparison_sentences(table, name, result.confidence)
        sentences = [first, *sentences, *others_in_words]
        sections.append(comparison_section(table, name, result.confidence))
    sections += _later_sections(result, evidence, titles)
    data = about_data(result.provenance.get("test", {}))
    record = {"name": name, **result.to_dict(), "compared_with": {other: them.to_dict() for other, them in others.items()}}
    title = f"{name} on {data}" if data else name
    return page(title, _eyebrow(result), sentences, cautions(result), sections, _footer(result), record)


def _later_sections(result: EvaluationResult, evidence: Evidence | None, titles: pd.DataFrame | None) -> list[Section]:
    """What there is besides summary and comparison; less where less is known."""
    sections: list[Section | None] = []
    if evidence is not None:
        sections.append(cutoffs_section(result, evidence))
    sections += [slices_section(result), distributions_section(result, evidence)]
    if evidence is not None and evidence.shown is not None and result.metrics:
        known = Titles(titles, evidence.relevance.items)
        sections.append(examples_section(result, evidence, evidence.shown, known))
    sections.append(cards_section(result))
    return [section for section in sections if section is not None]


def _name_of(result: EvaluationResult) -> str:
    return str(result.provenance.get("model", {}).get("trainer") or "This model")


def _eyebrow(result: EvaluationResult) -> str:
    trained = result.provenance.get("model", {}).get("time")
    return "Evaluation report" + (f" · model of {moment(str(trained))}" if trained else "")


def _footer(result: EvaluationResult) -> list[str]:
    return [
        f"The intervals ({100 * result.confidence:g}\u00a0%) speak of drawing other users like these, not of training again "
        "with another seed. For each user every item that the model knows was ranked.",
        "This page is complete in itself: it loads nothing and sends nothing.",
    ]

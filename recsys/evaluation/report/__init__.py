"""The report: one self-contained HTML page about a result, its model and its data. May import the rest of evaluation.

`writing` which sections there are · `evidence` the lists behind a result · `summary` verdict and table · `comparing` against
others · `cutoffs`, `slicing`, `distributions` charts · `examples` lists of single users · `cards` data and model by their
provenance · `charts` Vega-Lite by altair · `figure`, `page` the HTML · `titles`, `wording` items and numbers as
people read them. `page.css` and `page.js` go into every page as they are.
"""

from __future__ import annotations

from recsys.evaluation.report.charts import require_altair
from recsys.evaluation.report.evidence import LARGEST_DEPTH
from recsys.evaluation.report.writing import report_page, write_report

__all__ = ["LARGEST_DEPTH", "report_page", "require_altair", "write_report"]

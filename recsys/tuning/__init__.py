"""The search for good settings of a trainer, on held-out data.

`space` what is searched · `proposals` what is tried next and `study` where trials are kept, both on optuna · `trials` running
them · `result` what the user gets · `search` the call itself.
"""

from recsys.tuning.result import TrialRecord, TuningResult
from recsys.tuning.search import TuningInterrupted, tune

__all__ = ["TrialRecord", "TuningInterrupted", "TuningResult", "tune"]

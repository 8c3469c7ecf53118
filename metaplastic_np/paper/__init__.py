"""The experiments and claims of the paper, their verdicts, and the report."""

from .claims import CLAIMS, Claim
from .pictures import (
    PICTURES,
    show_all,
    show_biased,
    show_frequency,
    show_poisoning,
    show_repetition,
    show_serial_position,
)
from .report import make_report
from .reproduce import PRESETS, judge_run, measure_plan, plan_runs
from .verdicts import judge_claim, judge_claims, judge_controls

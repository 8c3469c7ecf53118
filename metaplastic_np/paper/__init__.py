"""The experiments and claims of the paper, their verdicts, and the report."""

from .calibrated import CALIBRATED, load_frontier
from .claims import CLAIMS, Claim
from .pictures import show_serial_position
from .report import make_report
from .reproduce import find_preset, judge_run, measure_plan, plan_runs
from .table import EXPERIMENTS, PRESETS, Experiment, Shown, list_pictures, show_all
from .verdicts import judge_claim, judge_claims, judge_controls

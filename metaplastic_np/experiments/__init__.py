"""Many trials, anywhere, resumable: settings, trials, runs and their results, workers."""

from .balance import CALIBRATION_SEED, balance_steepness, plan_balance
from .checkpoints import check_version, clear_trials, recover_trials, write_trial
from .draws import draw_presentations, draw_trial, init_learners
from .machine import describe_machine, find_version, measure_bandwidth, measure_speed
from .results import (
    ARRAYS,
    BY_TRIAL,
    Results,
    check_free,
    load_results,
    save_results,
    split_results,
)
from .run import check_items, measure_work, run_experiment, run_experiments
from .settings import (
    Settings,
    describe_run,
    find_known,
    init_known_settings,
    init_settings,
    measure_default_steepness,
)
from .trials import run_trial
from .workers import open_cluster, open_pool

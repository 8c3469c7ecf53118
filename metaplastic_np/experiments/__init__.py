"""Many trials, anywhere, resumable: settings, trials, runs and workers."""

from .machine import describe_machine, find_version, measure_bandwidth, measure_speed
from .run import (
    ARRAYS,
    BY_TRIAL,
    CALIBRATION_SEED,
    Results,
    balance_steepness,
    check_free,
    check_items,
    load_results,
    measure_work,
    run_experiment,
    run_experiments,
    save_results,
)
from .settings import (
    Settings,
    describe_run,
    init_settings,
    is_calibrated,
    measure_default_steepness,
)
from .trials import draw_presentations, draw_trial, init_rules, read_trials, run_trial
from .workers import open_cluster, open_pool

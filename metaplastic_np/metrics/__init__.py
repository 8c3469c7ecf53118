"""What was remembered, and what trials prove: recall and statistics."""

from .recall import (
    CLEAR,
    MEMORIZED_LEVEL,
    chance_recall,
    measure_capacity,
    measure_confusion,
    measure_false_alarms,
    measure_fewest_hits,
    measure_forgetting,
    measure_gross_memory,
    measure_memorized,
    measure_primacy,
    measure_recall,
    measure_recency,
    measure_serial_position_curve,
)
from .statistics import (
    format_mean,
    measure_bounds,
    measure_figure_interval,
    measure_interval,
    measure_rank_correlation,
)

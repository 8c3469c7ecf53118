"""What is shown, when, and under which labels: datasets, items and schedules."""

from .datasets import Dataset, load_digits, measure_digest
from .idx import read_idx
from .items import (
    NON_TARGETS,
    Items,
    Presentation,
    Step,
    check_enough_images,
    check_item_count,
    check_new_items,
    count_non_targets,
    draw_items,
    draw_new_items,
    draw_presentation,
    freeze_features,
)
from .schedules import (
    PASSES,
    SCHEDULES,
    count_new,
    draw_repetition,
    draw_schedule,
    measure_positions,
)
from .sources import (
    DATASETS,
    check_sources,
    fetch_mnist,
    load_dataset,
    load_folder,
    load_mnist,
    load_npz,
)

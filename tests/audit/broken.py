"""Break the code on purpose, one line at a time, and see a test fail by name.

Run: python tests/audit/broken.py [WORD] [--json FILE]. Every row of BREAKS is applied to a copy of
the tree, and the named test files are run there; a break that no test notices makes this program
fail. With a WORD only the rows with it are run.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 900  # a break that makes its tests hang is not noticed by name

# (file, what stands there, what is put there, the tests to run, the law that must fail)
BREAKS = [
    ("plasticity", "np.abs(displacement)", "displacement", "plasticity", "even_in_displacement"),
    ("plasticity", "4 * decay / (", "4.1 * decay / (", "plasticity", "equals_one_minus"),
    ("plasticity", "np.minimum(4", "np.maximum(4", "plasticity", "between_0_and_1"),
    ("plasticity", ", 1)\n    is_rigid", ", 9)\n    is_rigid", "plasticity", "never_exceeds_1"),
    (
        "plasticity",
        "(1 - flexibility) / f",
        "(2 - flexibility) / f",
        "plasticity",
        "plastic_for_ever",
    ),
    ("plasticity", "np.where(is_rigid, ", "np.where(is_rigid & False, ", "plasticity", "rigid"),
    ("plasticity", ") * steepness\n", ") / steepness\n", "plasticity", "falls_with_steepness"),
    ("plasticity", "np.exp(-2 * t", "np.exp(2 * t", "plasticity", "falls_with_distance"),
    ("plasticity", "middle / 2 + np.sinh", "middle + np.sinh", "plasticity", "drift"),
    ("flexibility", "(1 + np.sqrt", "(2 + np.sqrt", "learning", "papers_distribution"),
    (
        "flexibility",
        "1.0 - checks.check_rng(rng).random(shape)",
        "rng.random(shape) * 0.5",
        "learning",
        "papers_distribution",
    ),
    ("layers", "return np.where(positive", "return np.where(~positive", "layers", "relu_backward"),
    ("layers", "inputs.T @ d_outputs", "inputs.T @ d_outputs * 1.01", "layers", "dense_backward"),
    ("layers", "d_logits /= len(labels)", "pass", "layers", "softmax_cross_entropy_backward"),
    (
        "gradient_check",
        "abs(numeric - claimed)",
        "abs(numeric - numeric)",
        "layers",
        "wrong_gradient_is_rejected",
    ),
    (
        "network",
        "-= learning_rate * gradient",
        "-= learning_rate * gradient * 0",
        "options",
        "moves",
    ),
    (
        "network",
        "    logits, _ = network_forward",
        "    network.parameters[:1] += 1e-3\n    logits, _ = network_forward",
        "learning",
        "measuring_after_every_epoch",
    ),
    (
        "items",
        "label not in (item, other)",
        "label != item",
        "items",
        "no_non_target_label_is_true",
    ),
    ("items", "rng.permutation(n_shown) for", "np.arange(n_shown) for", "items", "new_order"),
    ("items", "labels == shown[side]", "labels == shown[0]", "items", "shows_its_own_digit"),
    ("datasets", "is_train[rows[:", "is_train[rows[1:", "items", "70_to_30"),
    (
        "learning",
        "batches = _cut(order, settings.batch_size)",
        "batches = _cut(order, settings.batch_size); here.coefficients.rate[:] *= 1.01",
        "learning",
        "measuring_after_every_epoch",
    ),
    (
        "learning",
        '        if settings.refresh == "update":\n',
        "        if False:\n",
        "learning",
        "numpy",
    ),
    ("learning", "if not np.isfinite(g).all():", "if False:", "learning", "not_finite"),
    ("checks", "array = array.copy()\n", "array = array.view()\n", "learning", "own_copy"),
    (
        "metaplasticity",
        "            bias[:] = 1\n",
        "            pass\n",
        "learning",
        "biases_are_ordinary",
    ),
    (
        "checks",
        "np.ascontiguousarray(found).reshape",
        "found.ravel(order='K').reshape",
        "learning",
        "memory_layout",
    ),
    ("_fast/kernels", "-= rate[i, j] *", "-= 1.0001 * rate[i, j] *", "learning", "scalar_loop"),
    (
        "_fast/kernels",
        "zero if value <= zero else value",
        "value if value > zero else zero",
        "learning",
        "too",
    ),
    ("_fast/kernels", "if units[i, j] > zero else zero", "", "learning", "scalar_loop"),
    ("_fast/kernels", "row[j] /= count", "pass", "learning", "scalar_loop"),
    (
        "_fast/kernels",
        "np.float64(highest) - np.float64(row[labels[i]])",
        "highest - row[labels[i]]",
        "learning",
        "kernels_say",
    ),
    ("_fast/__init__", "if not self._is_bounded(space):", "if False:", "learning", "before_any"),
    ("_fast/__init__", "if not np.isfinite(gradient).all():", "if False:", "learning", "before"),
    (
        "_fast/__init__",
        "layer.weights[rows], layer.rate[rows]",
        "layer.weights[rows], layer.rate",
        "learning",
        "blocks",
    ),
    ("_fast/__init__", "weights[0][self.on] = self.first_weights", "weights", "learning", "dark"),
    ("_fast/__init__", "(images != 0).any", "(images > 0).any", "learning", "dark"),
    (
        "metaplasticity",
        '["flexibility"][here]',
        '["flexibility"][: here.stop - start]',
        "learning",
        "pieces",
    ),
    (
        "learning",
        "_measure_coefficients(here.network, here.learner, here.settings).rate",
        "here.coefficients.rate",
        "learning",
        "numba",
    ),
    ("recall", "return hits >= measure", "return hits > measure", "recall", "hypergeometric"),
    ("recall", "tail / level - 1) < ROUNDING", "tail / level - 1) < 0", "recall", "one_in_twenty"),
    ("recall", "10 * centers <= 7", "10 * centers <= 6", "recall", "middle_40_percent"),
    (
        "recall",
        "np.maximum.accumulate(np.where(presented, recall, 0), axis=-2)",
        "recall",
        "recall",
        "forgetting_is_the_best",
    ),
    (
        "draws",
        "spawn_key=(trial,)",
        "spawn_key=(trial, __import__('os').getpid())",
        "experiments",
        "any_number_of_workers",
    ),
    ("blas", ".limit(limits=1)", ".limit(limits=2)", "experiments", "one_blas_thread"),
    ("learners", "(found.rate == 1).all()", "True", "experiments", "rigid_network_does_not"),
    (
        "balance",
        "if difference < 0 else (low,",
        "if difference > 0 else (low,",
        "experiments",
        "balance",
    ),
    ("storage", "partial.unlink()", "pass", "storage", "litter"),
    ("storage", "size > MOST_BYTES", "size < 0", "sources", "promises_too_much"),
    (
        "storage",
        "file.tell() + prod(shape) * dtype.itemsize != member",
        "None is member",
        "fuzz",
        "npz",
    ),
    ("storage", "not dtype.itemsize or ", "", "storage", "of_no_bytes"),
    ("storage", "packed.read(MOST_HEADER)", "packed.read()", "fuzz", "npz"),
    ("storage", "not in (ZIP_STORED, ZIP_DEFLATED)", "is None", "storage", "without_bound"),
    ("storage", "ascii(member.filename)[1:-1]", "member.filename", "fuzz", "npz"),
    ("storage", "member.file_size > growth", "0 > growth", "storage", "agree_on_a_lie"),
    ("storage", "size > BOMB_BYTES", "size < 0", "storage", "packed_too_well"),
    (
        "storage",
        "for member in members) > length",
        "for member in members) < 0",
        "storage",
        "pieces",
    ),
    ("checkpoints", "errors.check_shapes(", "len(", "experiments", "do_not_fit"),
    ("checkpoints", "_is_whole(counts)\n        and (", "(", "experiments", "cannot_be_right"),
    ("checkpoints", 'header["trial"] != ', "None is ", "experiments", "set_aside"),
    ("checkpoints", "if version != ours", "if False", "experiments", "another_version"),
    ("checkpoints", "path.replace(aside)", "path.unlink()", "experiments", "set_aside"),
    ("results", "if not np.array_equal(", "if False and (", "experiments", "cannot_be_right"),
    ("results", "theirs > ours", "False", "experiments", "not_by_fewer"),
    ("settings", "DIGESTS.get(measure_digest(dataset))", "dataset.name", "experiments", "digest"),
    ("plans", "    if not resume:\n", "    if False:\n", "cli", "other_settings"),
    ("plans", "write_trial(_checkpoint", "str(_checkpoint", "cli", "extended"),
    ("reproduce", "sorted(evidence)}", "made[0][0]['runs']}", "reproduce", "old_claims_json"),
    ("steepness", 'entry["depends_on"] == depends_on', "True", "reproduce", "whatever_the_files"),
    ("storage", "if _is_left(path)", "if True", "faults", "another_process"),
    ("schedules", "BALANCED = (4, 20)", "BALANCED = (5, 20)", "schedules", "too_short"),
    ("schedules", "cell[::-1]] = place[::-1]", "cell] = place", "schedules", "first_mean_and_last"),
    (
        "schedules",
        "found[2, cell] = place",
        "found[2, cell[::-1]] = place[::-1]",
        "schedules",
        "first_mean",
    ),
    ("settings", ", maximum=MOST_ITEMS", "", "errors", "bad_input"),
    ("network", "< MANY else", "< 0 else", "experiments", "wakes_no_threads"),
    ("steepness", '== content["crc32"]', "> 0", "reproduce", "a_resume_keeps"),
    ("parser", "' '.join(message.split())", "message", "cli", "whatever_is_typed"),
    ("storage", "except Exception:", "except ValueError:", "sources", "damaged_npz"),
    ("items", "canvas /= dataset.pixel_scale", "canvas /= 256", "sources", "uint8_pixels"),
    ("datasets", "return 255 if high.max() > 1 else 1", "return 255", "own_data", "only_whole"),
    ("datasets", "low[other] >= -1 and", "False and", "own_data", "one_scale_or"),
    ("datasets", "below and checks.is_whole(part)", "below", "own_data", "only_whole"),
    (
        "labels",
        "names[order], np.argsort(order)[places]",
        "names[order], places",
        "own_data",
        "told_",
    ),
    (
        "labels",
        "words.astype(np.float64), kind",
        "words, kind",
        "own_data",
        "told_",
    ),
    ("labels", "is_hot.sum(axis=1) == 1", "is_hot.sum(axis=1) > 0", "errors", "bad_input"),
    ("checks", "if np.ma.is_masked(values):", "if False:", "errors", "bad_input"),
    ("settings", "* MEMORIZED_LEVEL > 1", "* MEMORIZED_LEVEL > 0", "own_data", "as_many_test"),
    ("settings", "if 2 * shown < min(", "if False and 2 < min(", "own_data", "fewest_images"),
    (
        "recall",
        "np.where(presented, best - recall, np.nan)",
        "best - recall",
        "recall",
        "forgetting",
    ),
    ("learners", "_read_name(other) == _read_name(name)", "other == name", "errors", "bad_input"),
    ("items", "if len(parts) != 4:", "if False:", "schedules", "cannot_be_shown"),
    ("datasets", "if measure_digest(dataset) != digest", "if False", "sources", "changed"),
    ("datasets", "@lru_cache(maxsize=2)", "@lru_cache(maxsize=0)", "sources", "reads_it_once"),
    ("datasets", "array.flags.writeable = False", "pass", "sources", "sent_whole"),
    ("datasets", "    @cached_property\n", "    @property\n", "sources", "digest_is_computed_once"),
    ("datasets", "if self.reload is None", "if True", "sources", "few_bytes"),
    ("workers", "_Job(function, these)", "function, *these", "sources", "through_a_pool"),
    ("idx", "size + 1", "size", "sources", "longer"),
    ("idx", "file.read(size + 1)", "file.read()", "sources", "gzip_bomb"),
    ("idx", "if size <= length", "if True", "sources", "takes_no_memory"),
    ("idx", "0 < size <= MOST_BYTES", "size > 0", "sources", "takes_no_memory"),
    ("idx", "(OSError, EOFError, zlib.error)", "OSError", "sources", "damaged_idx"),
    (
        "idx",
        'path.suffix.lower() == ".gz"',
        'path.suffix.lower() != ".gz"',
        "sources",
        "counts_more",
    ),
    ("idx", '"raw", "MNIST/raw"', '"raw"', "sources", "that_people_have"),
    ("sources", "_measure_digest(arrays[part]) != digest", "False", "sources", "not_mnists"),
    ("sources", "{array.dtype} {array.shape}", "", "sources", "another_shape"),
    ("sources", "if len(sets) > 1:", "if False:", "sources", "one_whole_set"),
    ("sources", 'Path(data).absolute() / "mnist"', "Path(data)", "sources", "environment"),
    ("sources", "path.chmod(0o644)", "pass", "sources", "fetched"),
    ("sources", 'logger.setLevel("ERROR")', "pass", "sources", "fetched"),
    ("sources", "except ValueError:", "except KeyError:", "sources", "mirror"),
    ("sources", "                return\n", "                pass\n", "sources", "fetched"),
    # long trials, dark inputs, many runs
    ("trials", "if number < progress.done:", "if False:", "experiments", "stopped_within"),
    ("run", "missing.sort(key=lambda job: -job[0])", "pass", "experiments", "longest"),
    ("settings", "input_scale=LENGTH / length", "input_scale=LENGTH", "experiments", "begin_with"),
    (
        "workers",
        "CancelledError) as error",
        "BrokenPipeError) as error",
        "cluster",
        "scheduler_die",
    ),
    # schedules, statistics, claims, pictures
    ("schedules", "!= np.arange(n_items)).all()", "!= 99).all()", "schedules", "derangement"),
    ("schedules", "PASSES = 9", "PASSES = 8", "schedules", "nine_times_over"),
    (
        "schedules",
        "new[0]._replace(after=len(learned))",
        "new[0]",
        "schedules",
        "follow_the_same_nine_passes",
    ),
    (
        "schedules",
        "label=false[item], shown=",
        "label=item, shown=",
        "schedules",
        "under_the_same_false_labels",
    ),
    (
        "schedules",
        "(rho <= MOST_CORRELATED).all(axis=0)",
        "(rho[2] <= MOST_CORRELATED)",
        "schedules",
        "independent_of_first",
    ),
    (
        "items",
        "number if after is None else after, number)",
        "number if after is None else after, 10**6)",
        "schedules",
        "cannot_be_shown_is_refused",
    ),
    (
        "items",
        "if shown not in items.classes]",
        "if shown]",
        "schedules",
        "new_items_are_others",
    ),
    ("items", "items.train_images[shown]]", "items.train_images[item]]", "schedules", "it_names"),
    (
        "trials",
        "progress.kept[starts[number]]",
        "progress.kept[min(progress.kept)]",
        "schedules",
        "starts",
    ),
    ("watchers", "items.n_new and is_new_shown", "items.n_new", "schedules", "exactly_after"),
    ("watchers", "weights=step * total", "weights=step**2", "schedules", "add_up_to_1"),
    ("watchers", "np.sqrt(squares / count)", "np.sqrt(squares)", "schedules", "add_up_to_1"),
    (
        "statistics",
        "confidence=2 * confidence - 1)",
        "confidence=confidence)",
        "statistics",
        "one_sided",
    ),
    (
        "statistics",
        "if np.ptp(values) == 0:",
        "if False:",
        "statistics",
        "constant_values",
    ),
    (
        "statistics",
        "BOOTSTRAP_TRIALS = 10",
        "BOOTSTRAP_TRIALS = 11",
        "statistics",
        "from_ten_trials_on",
    ),
    ("statistics", "_rank(np.asarray(side))", "np.asarray(side)", "statistics", "spearmans"),
    ("statistics", "(first + last[..., ::-1]) / 2", "first + 0.0", "statistics", "spearmans"),
    ("statistics", "share * n + (1 - share)", "share * n", "statistics", "bootstrap_interval_is"),
    ("verdicts", '["interval"][1] < 0]', '["estimate"] < 0]', "statistics", "one_can_fail"),
    ("verdicts", "min(failing or parts", "max(failing or parts", "statistics", "weakest"),
    ("verdicts", "holds = all(", "holds = any(", "statistics", "every_margin_must_hold"),
    (
        "verdicts",
        "_check_paired([run.header for run in runs])",
        "pass",
        "claims",
        "another_seed_or_dataset",
    ),
    ("verdicts", "number % len(found.controls)", "0", "claims", "taken_in_turn"),
    ("claims", "slice(0, 5), slice(-5, None)", "slice(0, 4), slice(-4, None)", "claims", "alone"),
    (
        "claims",
        'growth["hybrid"] - growth["conventional"]',
        'growth["hybrid"]',
        "claims",
        "each_margin_alone",
    ),
    (
        "claims",
        "hybrid[1] - REMEMBERED * hybrid[0]",
        "hybrid[1]",
        "claims",
        "each_margin_alone",
    ),
    (
        "claims",
        "[margin[:n_trials] for margin in margins]",
        "[margin[-n_trials:] for margin in margins]",
        "claims",
        "trials_that_both_have",
    ),
    ("verdicts", "!= row.n_items:", "!= run.settings.n_items:", "claims", "cannot_be_measured"),
    (
        "controls",
        "run.recall.copy(), run.conf",
        "run.recall, run.conf",
        "claims",
        "permutes_a_copy",
    ),
    (
        "controls",
        "confusion[:, trial][..., groups, :][..., order]",
        "confusion[:, trial][..., order]",
        "claims",
        "permutes_a_copy",
    ),
    ("controls", "confusion=run.confusion[order])", ")", "claims", "becomes_the_conventional"),
    ("controls", "(slice(None), order)]", "(slice(None), order * 0)]", "claims", "keep_sharing"),
    (
        "panels",
        "names += [series.label,",
        "names += [series.network,",
        "figures",
        "as_it_is_printed",
    ),
    ("panels", "low[at], high[at]]", "low[0], high[0]]", "figures", "as_it_is_printed"),
    (
        "pictures",
        "(row + n_doses * n_items for row in poison[1:])",
        "(row for row in poison[1:])",
        "figures",
        "taken_up",
    ),
    ("pictures", "memorized & presented", "memorized", "figures", "memorized_and_gross"),
    ("pictures", "np.argsort(cause, axis=-1)", "np.argsort(-cause, axis=-1)", "figures", "sorts"),
    ("pictures", "values=s.values[:n_trials]", "values=s.values[-n_trials:]", "figures", "beside"),
    (
        "pictures",
        "x = np.array(sorted(levels))",
        "x = np.array([*levels])",
        "figures",
        "sweep_runs",
    ),
    ("figures", "values.mean(axis=0), measure", "values.max(axis=0), measure", "figures", "means"),
    (
        "figures",
        "axes.fill_between(series.x, low, high",
        "axes.fill_between(series.x, low, mean",
        "figures",
        "means_over_trials",
    ),
    ("figures", "(SECOND if series.is_second else {})", "{}", "figures", "hollow"),
    ("figures", '{"metadata": {"Date": None}}', "{}", "figures", "same_bytes"),
    ("checker", "if not _is_same(before, after):", "if False:", "exercises", "bad_behavior"),
    ("questions", "if not differs.any():", "if True:", "exercises", "typical_mistake"),
    ("claims", "REMEMBERED = 0.5", "REMEMBERED = 0.6", "claims", "more_than_half"),
    ("claims", "REMEMBERED = 0.5", "REMEMBERED = 0.4", "claims", "more_than_half"),
    ("rivals", "gradient *= rates[layer]", "pass", "bench", "learns_what_the_package"),
    ("rivals", "(4 if layer == 0 else 6)", "6", "bench", "necessary_operations"),
    ("sections", "if not difference < error:", "if False:", "bench", "refused"),
    ("sections", "if not difference < RECALL_ERROR:", "if False:", "bench", "refused"),
    ("questions", "is_close(wrong).all()", "False", "exercises", "hint_of_its_own"),
    ("questions", "if counts.pop(label):", "if counts.pop(label) < 0:", "exercises", "mistake"),
    ("checker", "if result is None:", "if result is NotImplemented:", "exercises", "behavior"),
    (
        "checker",
        " and current_thread() is main_thread()",
        " and False",
        "exercises",
        "no_threads",
    ),
    (
        "network",
        "    logits, _ = network_forward",
        "    network.parameters[:1] += 1e-3\n    logits, _ = network_forward",
        "stateful",
        "TestNumPy",
    ),
    (
        "metaplasticity",
        'flexibility=arrays["flexibility"],',
        'flexibility=np.maximum(arrays["flexibility"], np.float32(1e-3)),',
        "stateful",
        "TestNumPy",
    ),
    (
        "layers",
        "np.exp(logits - highest)",
        "np.exp(logits - 0 * highest)",
        "hardness",
        "logits_of_any_size",
    ),
    (
        "learning",
        "return bad.index(True)",
        "return len(bad) - 1 - bad[::-1].index(True)",
        "hardness",
        "first_layer",
    ),
    (
        "plasticity",
        "plasticity = np.minimum(4 * decay / ((1 + decay) * (1 + decay)), 1)",
        "plasticity = 1 - np.tanh(travelled) ** 2",
        "hardness",
        "its_digits",
    ),
    (
        "items",
        "chosen = rng.permutation(len(available))",
        "chosen = rng.permutation(len(available))[::-1]",
        "same_bits",
        "shifted",
    ),
    (
        "items",
        "order=np.array([rng.permutation(n_shown)",
        "order=np.array([rng.permutation(n_shown)[::-1]",
        "same_bits",
        "shifted",
    ),
    (
        "flexibility",
        "1.0 - checks.check_rng(rng).random(shape)",
        "1.0 - checks.check_rng(rng).random(shape) ** 1.01",
        "same_bits",
        "shifted",
    ),
    ("options", '        "refresh": model.refresh,\n', "", "options", "becomes_the_settings"),
    ("plans", "resume=running.resume)", "resume=False)", "options", "asks_for"),
    (
        "draws",
        "steepness, settings.modulate_biases,",
        "steepness, False,",
        "options",
        "setting_changes",
    ),
    ("draws", "            non_target=settings.non_target,\n", "", "options", "setting_changes"),
    # the joint
    ("learning", "w -= hold * (w - anchor)", "w -= hold * w", "joint", "two_lines_say"),
    ("learning", "g += g.dtype.type(weight) * again", "g += again", "joint", "with_its_weight"),
    ("learning", "if rehearsal.weigh is None else", "if True else", "joint", "both_gradients"),
    ("learning", "rule.track is None else w.copy()", "True else w", "joint", "follow_every_update"),
    ("learners", "if array.flags.writeable", "if False", "joint", "same_bits"),
    ("learners", "learner.memory.clear()", "pass", "joint", "same_bits"),
    ("draws", "*seeds.spawn_key, number", "*seeds.spawn_key", "joint", "same_bits"),
]
BENCHMARK = {"rivals", "sections"}  # files outside of the package


def find(folder, name):
    """The one Python file of this name below a folder."""
    (path,) = folder.rglob(f"{name}.py")
    return path


def try_break(file, old, new, tests, law):
    """Apply one break to a copy of the tree; return the tests that fail there."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        shutil.copytree(
            ROOT / "metaplastic_np",
            tree / "metaplastic_np",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        shutil.copytree(
            ROOT / "tests", tree / "tests", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copytree(ROOT / "tutorials", tree / "tutorials")
        shutil.copy(ROOT / "pyproject.toml", tree)
        where = "tests/benchmarks" if file in BENCHMARK else "metaplastic_np"
        path = find(tree / where, file)
        text = path.read_text(encoding="utf-8")
        if old not in text:
            return [f"nothing to break: {old!r} is not in {file}.py"]
        path.write_text(text.replace(old, new), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0"]
        command += ["-p", "no:cacheprovider", "-k", law]
        command += [find(tree / "tests", f"test_{name}") for name in tests.split()]
        try:
            found = subprocess.run(
                command, cwd=tree, capture_output=True, text=True, check=False, timeout=MOST_SECONDS
            )
        except subprocess.TimeoutExpired:
            return [f"the tests did not end within {MOST_SECONDS} s"]
        return [
            line.split()[1].partition("::")[2]
            for line in found.stdout.splitlines()
            if line.startswith("FAILED")
        ]


def main():
    """Try every break; exit 1 if one goes unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows, found = [row for row in BREAKS if given.word in " ".join(row)], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row, failed in zip(rows, pool.map(lambda row: try_break(*row), rows), strict=True):
            file, old, new, _, law = row
            noticed = [test for test in failed if law in test]
            found.append({"file": file, "old": old, "new": new, "noticed_by": noticed[:1]})
            change = f"{file}: {old.strip()!r} -> {new.strip()!r}"
            print("noticed " if noticed else "MISSED  ", change, *failed[:2], sep="  ", flush=True)
    unnoticed = sum(not each["noticed_by"] for each in found)
    print(f"{unnoticed} of {len(found)} breaks went unnoticed")
    if given.json:
        kept = {"command": "python tests/audit/broken.py", "breaks": found}
        given.json.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main())

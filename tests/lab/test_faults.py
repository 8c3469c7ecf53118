"""What goes wrong on real machines: a kill, a full disk, damaged files, two runs in one folder.

Also elsewhere: Ctrl-C, a worker that dies, a folder that cannot be written (test_cli), a Dask
worker or scheduler that is killed (test_cluster), a trial stopped within (test_experiments).
"""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from worlds import REPRODUCE

import metaplastic_np as mp
from metaplastic_np import cli
from metaplastic_np._util import storage
from metaplastic_np.cli import plans
from metaplastic_np.experiments import checkpoints, trials
from metaplastic_np.experiments.settings import describe_run

QUICK = ["run", "serial-position", "--items", "4", "--trials", "2", "--hidden", "8"]
QUICK += ["--batch", "64", "--epochs", "1", "--backend", "numpy"]
TINY = mp.Settings(
    n_items=3, trials=1, n_train_images=20, n_test_images=5, n_features=8, hidden=(4,), epochs=1
)
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals and limits")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def contents(folder):
    """All numbers of a folder's results; not when and where they were made."""
    found = {}
    for path in sorted(Path(folder).glob("*.npz")):
        results = mp.load_results(path)
        found[path.name] = [getattr(results, name).tobytes() for name in mp.experiments.ARRAYS]
    for path in sorted(Path(folder).glob("*.csv")):
        found[path.name] = path.read_bytes()
    if (Path(folder) / "claims.json").exists():
        claims = json.loads((Path(folder) / "claims.json").read_text("utf-8"))["claims"]
        found["claims"] = [{**claim, "seconds": 0} for claim in claims]
    return found


# --- killed --------------------------------------------------------------------------

# Forks of a process that has imported everything, each killed at a random moment after it has come
# to the trials; what stood in the folder then must still stand, the same file, after the next kill.
KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from metaplastic_np import cli
from metaplastic_np.cli import plans
from metaplastic_np.experiments import trials
import metaplastic_np.plots.figures, scipy.special, tqdm
trials.STATE_SECONDS = 0.0  # each trial keeps its state after each presentation
draw, kills, arguments = random.Random(0), 0, sys.argv[1:]
run_experiments = plans.run_experiments
before = {}
while kills < 20 or len(before) < 3:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        def begin(*given, **options):
            os.write(writer, b"x")
            return run_experiments(*given, **options)
        plans.run_experiments = begin
        os._exit(cli.main([*arguments, "--resume"]))
    os.close(writer)
    assert os.read(reader, 1) == b"x", "it ended before it began"
    os.close(reader)
    time.sleep(draw.uniform(0, 0.6 if kills < 20 else 3))  # after 20 kills, on to three trials
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status), "it was done before it was killed so often"
    kills += 1
    now = {path: path.stat().st_ino for path in Path(arguments[-1]).glob("*.trials/trial-????.npz")}
    assert now.items() >= before.items(), "a finished trial was lost, or run again"
    before = now
print(kills, len(before))
"""


@posix
def test_killed_at_20_random_moments_a_reproduction_resumes_with_the_same_bits(made):
    command = [sys.executable, "-c", KILLER, *REPRODUCE, "--out", "killed"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    kills, finished = map(int, ended.stdout.split())
    assert kills >= 20
    assert finished >= 3
    assert cli.main([*REPRODUCE, "--out", "killed", "--resume"]) == 0
    assert contents("killed") == contents(made)
    assert not list(Path("killed").glob("*.trials"))


@posix
def test_workers_end_with_a_parent_that_is_killed():
    command = [sys.executable, "-m", "metaplastic_np", *QUICK, "--trials", "5000", "--jobs", "2"]
    with subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        deadline = time.monotonic() + 60
        while not list(Path("results").glob("*.trials/trial-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
        process.stdout.read()  # to its end: until nobody holds the other side
    assert process.returncode == -signal.SIGKILL
    while time.monotonic() < deadline:
        with pytest.MonkeyPatch.context():
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
        time.sleep(0.05)
    pytest.fail("a worker outlived the program")


# --- disks and folders ---------------------------------------------------------------


@posix
def test_a_full_disk_is_one_line_and_keeps_what_was_finished(capsys):
    """No file may become larger than 30 kB: trials are smaller, the figure is not."""
    import resource

    assert cli.main([*QUICK, "--out", "whole"]) == 0
    capsys.readouterr()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))
    try:
        assert cli.main([*QUICK, "--out", "full"]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "cannot write" in complaint
    assert ".png" in complaint
    assert not list(Path("full").glob(".*"))
    assert cli.main([*QUICK, "--out", "full", "--resume"]) == 0
    assert contents("full") == contents("whole")


@posix
def test_a_disk_too_full_for_a_trial_says_so_and_loses_no_other(capsys, monkeypatch):
    import resource

    def fill(*given, on_trial, **options):
        def then_fill(done):
            on_trial(done)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))

        return real(*given, on_trial=then_fill, **options)

    real, limits = plans.run_experiments, resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(plans, "run_experiments", fill)
    try:
        assert cli.main([*QUICK, "--out", "full"]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot write" in capsys.readouterr().err
    assert [path.name for path in Path("full").glob("*.trials/*")] == ["trial-0000.npz"]


def test_a_folder_deleted_while_a_run_writes_to_it_is_made_again(monkeypatch):
    def delete(*given, on_trial, **options):
        def then_delete(done):
            on_trial(done)
            shutil.rmtree("gone")

        return real(*given, on_trial=then_delete, **options)

    assert cli.main([*QUICK, "--out", "whole"]) == 0
    real = plans.run_experiments
    monkeypatch.setattr(plans, "run_experiments", delete)
    assert cli.main([*QUICK, "--out", "gone"]) == 0
    assert contents("gone") == contents("whole")


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_two_runs_in_one_folder_end_with_whole_files_or_one_line(resume):
    assert cli.main([*QUICK, "--out", "whole"]) == 0
    command = [sys.executable, "-m", "metaplastic_np", *QUICK, "--out", "shared", *resume]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    complaints = [process.communicate(timeout=120)[1] for process in running]
    statuses = sorted(process.returncode for process in running)
    assert statuses[0] == 0, complaints
    for process, complaint in zip(running, complaints, strict=True):
        if process.returncode:
            assert re.fullmatch(
                r"metaplastic-np: another run is writing there, says .*\.lock: wait for it, or "
                r"choose another folder; if it does not run any more, delete that file\n",
                complaint,
            )
        else:  # the second may have come when the first was done
            finished = "this run is finished: nothing is left to learn in shared"
            assert complaint in ("", f"metaplastic-np: {finished}\n")
    assert contents("shared") == contents("whole")


HELD = {  # who holds the folder, and whether that is believed
    "this process, as in a container": (f"process {os.getpid()} on {platform.node()}", False),
    "a process that ended": (f"process {2**22 + 1} on {platform.node()}", False),
    "a number that is none": (f"process {10**30} on {platform.node()}", False),
    "one that runs": (f"process {os.getppid()} on {platform.node()}", True),
    "one of another machine": ("process 1 on elsewhere", True),
    "nobody knows": ("", True),
    "nonsense": ("process -1 on earth\n", True),
}


@posix
@pytest.mark.parametrize("holder", HELD)
def test_a_folder_is_another_process_until_that_has_ended(holder, capsys):
    words, is_held = HELD[holder]
    Path("results").mkdir()
    lock = Path("results/.serial-position.lock")
    lock.write_text(words)
    assert cli.main(QUICK) == is_held
    complaint = capsys.readouterr().err
    assert lock.exists() == is_held
    if is_held:
        assert complaint == (
            f"metaplastic-np: another run is writing there, says {lock}: wait for it, or choose "
            "another folder; if it does not run any more, delete that file\n"
        )
        assert list(Path("results").iterdir()) == [lock]
    else:
        assert complaint == ""


def test_two_experiments_share_a_folder_at_once(capsys):
    Path("results").mkdir()
    Path("results/.hebb-repetition.lock").write_text("process 1 on elsewhere")
    assert cli.main(QUICK) == 0


def test_no_clock_that_can_be_set_back_is_looked_at(monkeypatch):
    """An hour earlier at each look; and files whose dates say nothing."""
    noon = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: next(noon))
    assert cli.main([*QUICK, "--out", "whole"]) == 0
    real = plans.clear_checkpoints
    monkeypatch.setattr(plans, "clear_checkpoints", lambda *_: None)
    assert cli.main([*QUICK, "--out", "resumed"]) == 0
    (kept,) = Path("resumed").glob("*.trials")
    for age, path in enumerate(sorted(kept.iterdir())):
        os.utime(path, (10**10 * (age % 2), 10**10 * (age % 2)))
    monkeypatch.setattr(plans, "clear_checkpoints", real)
    (Path("resumed") / "serial-position.npz").unlink()
    assert cli.main([*QUICK, "--out", "resumed", "--resume"]) == 0
    assert contents("resumed") == contents("whole")


# --- damaged files -------------------------------------------------------------------


def make_network():
    return mp.init_network((5, 4, 3), rng=np.random.default_rng(0))


def make_trial(path):
    arrays, facts = trials.run_trial(mp.load_digits(), TINY, 0, "numpy")
    header = {**describe_run(mp.load_digits(), TINY), **facts}
    checkpoints.write_trial(path.parent, 0, arrays, header)


IDENTITY = checkpoints.describe_trial(describe_run(mp.load_digits(), TINY), 0)


def read_trial(path):
    return checkpoints.read_trial(path, IDENTITY)


def make_state(path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "STATE_SECONDS", 0.0)
        trials.run_trial(mp.load_digits(), TINY, 0, "numpy", path)


def read_state(path):
    progress = checkpoints.read_progress(path, IDENTITY, ["confusion"])
    states = {
        f"{n} {name}": a for n, each in enumerate(progress.states) for name, a in each.items()
    }
    rows = {str(n): np.array(each["confusion"]) for n, each in enumerate(progress.rows)}
    return {"rms": np.array(progress.rms), **states, **rows}


def make_results(path):
    results = mp.run_experiment(mp.load_digits(), TINY, backend="numpy")
    mp.save_results(results, path.parent, name=path.stem)


# Kinds of files that are read back: a name, who makes it, who reads it.
FILES = {
    "trial": ("trial-0000.npz", make_trial, read_trial),
    "state": ("trial-0000.state.npz", make_state, read_state),
    "results": ("results.npz", make_results, mp.load_results),
    "network": ("n.npz", lambda path: mp.save_network(path, make_network()), mp.load_network),
    "metaplasticity": (
        "m.npz",
        lambda path: mp.rules.save_metaplasticity(
            path,
            mp.init_metaplasticity(
                make_network(), "hybrid", steepness=3.0, rng=np.random.default_rng(1)
            ),
        ),
        mp.rules.load_metaplasticity,
    ),
}


def flatten(value):
    """Everything in what was read, as bytes."""
    if hasattr(value, "__dataclass_fields__"):
        value = {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return [(name, flatten(value[name])) for name in sorted(value)]
    if isinstance(value, tuple) and not all(isinstance(each, int) for each in value):
        return [flatten(each) for each in value]
    return np.asarray(value).tobytes() if isinstance(value, np.ndarray) else repr(value)


def outcome(read, path):
    """What a file is found to hold, or None if it is refused in a line that names it."""
    try:
        return flatten(read(path))
    except (mp.InputError, mp.OutputError) as error:
        return None if path.name in str(error) and "\n" not in str(error) else error


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_file_is_refused_or_read_as_it_was(kind, tmp_path):
    """Cut at 40 places, and one bit turned at each of 400."""
    name, make, read = FILES[kind]
    path, rng, refused = tmp_path / name, np.random.default_rng(0), 0
    make(path)
    whole, expected = path.read_bytes(), flatten(read(path))
    damaged = [whole[:length] for length in rng.integers(0, len(whole), 40)]
    for bit in rng.integers(0, 8 * len(whole), 400):
        turned = bytearray(whole)
        turned[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(turned))
    for data in damaged:
        path.write_bytes(data)
        found = outcome(read, path)
        assert found is None or found == expected
        refused += found is None
    assert refused > 300


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_lacks_an_array_is_refused(kind, tmp_path):
    """As one with a turned bit in its directory may."""
    name, make, read = FILES[kind]
    path = tmp_path / name
    make(path)
    arrays, header = storage.read_arrays(path)
    for lost in arrays:
        storage.write_arrays(
            path, {each: arrays[each] for each in arrays if each != lost}, header=header
        )
        with pytest.raises(mp.InputError, match=rf"{name}: it lacks {lost}"):
            read(path)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_a_later_version_is_refused_in_words(kind, tmp_path):
    name, make, read = FILES[kind]
    path = tmp_path / name
    make(path)
    arrays, header = storage.read_arrays(path)
    storage.write_arrays(path, arrays, header={**header, "schema": 9})
    with pytest.raises((mp.InputError, mp.OutputError), match=r"schema"):
        read(path)


def test_a_trial_of_other_settings_is_not_mistaken_for_this_runs(tmp_path):
    make_trial(tmp_path / "trial-0000.npz")
    other = describe_run(mp.load_digits(), replace(TINY, seed=1))
    with pytest.raises(mp.OutputError, match="other settings"):
        checkpoints.recover_trials(tmp_path, other)

"""What a run meets outside of its folder: terminals, scripts, workers, cores, signals, memory.

Matplotlib's settings are in tests/paper/test_figures.py; disks and kills in test_faults.py.
"""

import fcntl
import io
import multiprocessing
import os
import pickle
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
from test_cli import ends_soon

import metaplastic_np as mp
from metaplastic_np import cli
from metaplastic_np._util import checks
from metaplastic_np.cli import commands, plans
from metaplastic_np.experiments import workers

RUN = ["run", "serial-position", "--items", "3", "--trials", "2", "--hidden", "8", "--epochs", "1"]
RUN += ["--batch", "64", "--backend", "numpy"]
PROGRAM = [sys.executable, "-m", "metaplastic_np"]
FILES = [f"serial-position.{ending}" for ending in ("csv", "npz", "png", "svg")]
TINY = mp.Settings(
    n_items=3, trials=2, n_train_images=20, n_test_images=5, n_features=8, hidden=(4,), epochs=1
)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def written():
    return sorted(path.name for path in Path("results").iterdir())


def shell(line, **environment):
    """Run a line of the shell, in which "$@" is the program."""
    return subprocess.run(
        ["sh", "-c", line, "sh", *PROGRAM],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


# --- terminals -----------------------------------------------------------------------


def print_in(encoding, monkeypatch):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert cli.main(RUN) == 0
    return stdout.buffer.getvalue().decode(encoding).split("\n\n")[0]


@pytest.mark.parametrize("encoding", ["ascii", "cp866", "cp1252", "utf-8"])
def test_what_a_terminal_cannot_spell_is_replaced(encoding, monkeypatch):
    found = print_in(encoding, monkeypatch)
    can_spell = encoding in ("cp1252", "utf-8")
    assert ("(mean ± 95 % interval)" if can_spell else "(mean ? 95 % interval)") in found


def test_a_name_of_bytes_that_are_no_text_is_printed_and_reported(capsys):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 4
    images = rng.random((4, 5, 5))[labels] + 0.1 * rng.random((60, 5, 5))
    arrays = {f"{part}_images": images for part in ("train", "test")}
    name = os.fsdecode(b"\xe9t\xe9$^$x\x07.npz")
    np.savez(name, train_labels=labels, test_labels=labels, **arrays)
    assert cli.main([*RUN, "--dataset", name, "--kappa", "7"]) == 0
    assert cli.main(["report", "results"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "?t?$^$x" in out
    assert "?t?$^$x" in Path("results/report.html").read_text("utf-8")


@pytest.mark.parametrize("command", ["info", "--help", "data list"])
@pytest.mark.parametrize("stdout", [">/dev/full", ">&-"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_output_that_cannot_be_written_is_one_line(command, stdout):
    found = shell(f'"$@" {command} {stdout}')
    assert found.returncode == 1
    assert found.stderr.startswith("metaplastic-np: cannot write to standard output: ")
    assert found.stderr.count("\n") == 1
    reason = "No space left on device" if "full" in stdout else "it is closed"
    assert reason in found.stderr


@pytest.mark.parametrize("stdout", [">/dev/full", ">&-"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_results_are_on_disk_before_anything_is_printed(stdout):
    found = shell(f'"$@" {" ".join(RUN)} {stdout}')
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert written() == FILES


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_without_stderr_the_exit_status_and_stdout_are_the_same(stderr):
    found = shell(f'"$@" {" ".join(RUN)} {stderr}')
    assert found.returncode == 0
    assert "mean recall" in found.stdout
    assert written() == FILES
    assert shell(f'"$@" run serial-position --trials 0 {stderr}').returncode == 2
    assert shell(f'"$@" run nothing {stderr}').returncode == 2


def test_workers_start_where_every_stream_is_closed():
    line = f'"$@" {" ".join(RUN)} --jobs 2 <&- >&- 2>&-'
    assert shell(line).returncode == 1
    assert written() == FILES
    assert mp.load_results("results/serial-position.npz").recall.shape == (3, 2, 4, 3)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
@pytest.mark.parametrize("columns", [80, 40])
def test_the_progress_bar_fits_its_terminal_and_ends_full(columns):
    here, there = os.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([*PROGRAM, *RUN], stdout=subprocess.DEVNULL, stderr=there) as process:
        os.close(there)
        shown = b""
        try:
            while data := os.read(here, 4096):
                shown += data
        except OSError:  # the other side is closed
            pass
    assert process.returncode == 0
    bars = shown.decode().replace("\n", "\r").split("\r")
    assert max(map(len, bars)) < columns
    last = [bar for bar in bars if bar.strip()][-1]
    assert last.startswith("100%|")
    assert last.endswith(", 2 of 2 trials")
    assert ", ," not in last


# --- figures that cannot be drawn ----------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("no"), MemoryError("no"), ImportError("no")])
def test_a_figure_that_fails_loses_no_results(error, capsys, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(commands, "save_figure", fail)
    assert cli.main(RUN) == 1
    out, err = capsys.readouterr()
    kind = type(error).__name__
    assert err == (
        f"metaplastic-np: the figure serial-position could not be drawn ({kind}: no); "
        "results are kept\n"
    )
    assert "mean recall" in out
    assert written() == FILES[:2]
    assert cli.main(["report", "results"]) == 1
    assert Path("results/report.html").exists()
    monkeypatch.undo()


# --- scripts and workers -------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [
        "with mp.open_pool(2) as pool: mp.run_experiment(images, settings, executor=pool)",
        f"sys.exit(cli.main({[*RUN, '--jobs', '2']}))",
    ],
)
def test_a_script_without_a_guard_is_told_what_to_do(start):
    Path("script.py").write_text(
        "import sys\nimport metaplastic_np as mp\nfrom metaplastic_np import cli\n"
        "from metaplastic_np.experiments import workers\nworkers.count_cores = lambda: 2\n"
        "images = mp.load_digits()\n"
        f"settings = mp.{TINY}\n{start}\n"
    )
    found = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True)
    assert found.returncode in (1, 2)
    last = found.stderr.splitlines()[-1]
    assert "workers import the script that starts them, and this one starts workers again" in last
    assert 'below `if __name__ == "__main__":`' in last
    assert found.stderr.count("Traceback") == ("open_pool" in start)  # the script's own


def test_a_script_from_standard_input_runs_its_trials_itself():
    script = "import metaplastic_np as mp\nwith mp.open_pool(2) as pool: print(pool)\n"
    found = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True)
    assert found.stdout == "None\n"
    assert "workers cannot read again a script that came from standard input" in found.stderr


def in_a_worker(kind):
    """Run in a worker of another pool, whose processes are daemons."""
    if kind == "command":
        return cli.main([*RUN, "--jobs", "2"])
    pool = mp.open_pool(2)
    with pytest.warns(RuntimeWarning, match="trials run one after the other, instead of 2 workers"):
        executor = pool.__enter__()
    assert executor is None
    return mp.run_experiment(mp.load_digits(), TINY, executor=executor).recall.shape


@pytest.mark.parametrize(("kind", "expected"), [("command", 0), ("api", (3, 2, 4, 3))])
def test_in_a_worker_of_another_pool_trials_run_in_it(kind, expected, capfd):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply_async(in_a_worker, (kind,)).get(timeout=120) == expected
    err = capfd.readouterr().err
    assert err.count("\n") == (kind == "command")
    if err:
        assert "this process is a worker itself, and may start none" in err


HERE = Path(__file__).parent


def make_dataset(reload):
    images = np.random.default_rng(0).random((60, 12))
    labels = np.arange(60) % 3
    arrays = {"train_images": images, "test_images": images}
    arrays |= {"train_labels": labels, "test_labels": labels}
    return mp.Dataset(name="mine", reload=reload, **arrays)


NOTEBOOK = f"""
import sys; sys.path[:0] = {[str(HERE), str(HERE.parent / "support")]!r}
import metaplastic_np as mp, test_surroundings as t
def load(): return t.make_dataset((load, ()))
t.workers.count_cores = lambda: 2
with mp.open_pool(2) as pool:
    try: mp.run_experiment(load(), t.TINY, executor=pool)
    except mp.InputError as error: print(error)
"""


def test_a_loader_that_workers_cannot_import_is_named(monkeypatch):
    """One of a notebook, here of -c; one that cannot even be pickled."""
    monkeypatch.setattr(workers, "count_cores", lambda: 2)
    way_out = "write the function that loads the dataset into a module"
    found = subprocess.run([sys.executable, "-c", NOTEBOOK], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert "what the trials need cannot be sent to a worker (Can't get attribute 'load'" in (
        found.stdout
    )
    assert way_out in found.stdout
    with mp.open_pool(2) as pool:
        for unsendable in (lambda: None, open):
            held = (unsendable, (sys.stdout,))
            with pytest.raises(mp.InputError, match=way_out):
                mp.run_experiment(make_dataset(held), TINY, executor=pool)
        mp.run_experiment(make_dataset(None), TINY, executor=pool)  # and nobody died


# --- cores ---------------------------------------------------------------------------


def test_no_more_workers_start_than_there_are_cores(monkeypatch):
    monkeypatch.setattr(workers, "count_cores", lambda: 3)
    message = r"3 workers will run trials, instead of 64 workers \(cores that can be used: 3\)"
    pool = mp.open_pool(64)
    with pytest.warns(RuntimeWarning, match=message):
        assert pool.__enter__()._max_workers == 3
    pool.__exit__(None, None, None)
    with mp.open_pool(3) as pool:
        assert pool._max_workers == 3
    monkeypatch.setattr(workers, "count_cores", lambda: 1)
    message = "trials run one after the other, instead of 2 workers"
    with pytest.warns(RuntimeWarning, match=message):
        assert mp.open_pool(2).__enter__() is None


def test_no_more_workers_start_than_there_are_trials(monkeypatch):
    monkeypatch.setattr(workers, "count_cores", lambda: 8)
    with mp.open_pool(8) as pool:
        mp.run_experiment(mp.load_digits(), TINY, backend="numpy", executor=pool)
        assert len(pool._processes) <= TINY.trials


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("", {}, 8),  # no control groups
        ("0::/", {"cpu.max": "max 100000\n"}, 8),
        ("0::/", {"cpu.max": "200000 100000\n"}, 2),  # in a container
        ("0::/a/b", {"cpu.max": "400000 100000\n", "a/b/cpu.max": "max 100000\n"}, 4),
        ("0::/a/b", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "300000 100000\n"}, 2),
        ("0::/gone", {"cpu.max": "1000 100000\n"}, 1),
        ("3:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        (
            "4:memory:/m\n3:cpu,cpuacct:/a\n0::/",
            {"cpu/a/cpu.cfs_quota_us": "300000", "cpu/a/cpu.cfs_period_us": "100000"},
            3,
        ),
        ("0::/", {"cpu.max": "nonsense"}, 8),
    ],
)
def test_cores_are_those_that_control_groups_allow(own, files, expected, monkeypatch, tmp_path):
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(workers, "CGROUP", tmp_path / "own")
    monkeypatch.setattr(workers, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert workers.count_cores() == expected


def test_cores_are_those_that_a_scheduler_gave(monkeypatch):
    monkeypatch.setattr(workers, "_list_quotas", list)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    assert workers.count_cores() == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    for known, expected in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda found=known: found)
        assert workers.count_cores() == expected


# --- signals and memory --------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("to_all", [False, True])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_sigterm_ends_workers_and_says_what_is_kept(jobs, to_all):
    command = [*PROGRAM, *RUN, "--trials", "5000", "--jobs", jobs]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 60
        while not list(Path("results").glob("*.trials/trial-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        (os.killpg if to_all else os.kill)(process.pid, signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    kept, stopped = err.splitlines()  # no warning of leaked semaphores
    assert "of 5000 trials are kept in results; add --resume to go on" in kept
    assert stopped == "metaplastic-np: stopped by SIGTERM"
    assert ends_soon(process.pid), "a worker outlived the program"


def test_sigterm_is_left_to_who_handles_it_and_to_others_when_the_command_is_done():
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert cli.main(["--version"]) == 0
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert cli.main(["--version"]) == 0
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits")
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("megabytes", [250, 500, 700])
def test_a_limit_on_memory_is_one_line_and_not_a_wait(megabytes, jobs):
    found = shell(f'ulimit -v {megabytes}000; "$@" {" ".join(RUN)} --jobs {jobs}')
    assert found.returncode == 1
    assert found.stderr.startswith("metaplastic-np: this does not fit into memory: Unable to")
    assert found.stderr.count("\n") == 1
    assert not Path("results").exists()


def test_memory_that_runs_out_keeps_finished_trials(capsys, monkeypatch):
    real = plans.run_experiments

    def run_out(*arguments, on_trial, **options):
        def stop(done):
            on_trial(done)
            np.empty(10**17, np.uint8)

        return real(*arguments, on_trial=stop, **options)

    monkeypatch.setattr(plans, "run_experiments", run_out)
    assert cli.main(RUN) == 1
    kept, why = capsys.readouterr().err.splitlines()
    assert kept == "metaplastic-np: 1 of 2 trials are kept in results; add --resume to go on"
    assert why.startswith("metaplastic-np: this does not fit into memory: Unable to allocate")


# --- Numba's switches ----------------------------------------------------------------


@pytest.mark.numba
def test_without_its_compiler_numba_is_not_chosen_but_can_be_asked_for(monkeypatch):
    import numba

    monkeypatch.delenv("METAPLASTIC_NP_BACKEND", raising=False)
    for is_off, chosen in ((0, "numba"), (1, "numpy")):
        monkeypatch.setattr(numba.config, "DISABLE_JIT", is_off)
        assert checks.check_backend("auto") == chosen
        assert checks.check_backend(None) == chosen
        assert checks.check_backend("numba") == "numba"
    monkeypatch.setenv("METAPLASTIC_NP_BACKEND", "numba")
    assert checks.check_backend("auto") == "numba"


READ_ONLY_HOME = """
import numba.core.caching as caching, numpy as np
caching.CacheImpl._locator_classes = [caching.CacheImpl._locator_classes[0]]
from metaplastic_np import _fast
x = np.ones((2, 2)); _fast.kernels.step_inplace(x, x.copy(), x.copy())
print(_fast.cache_folder(), repr(numba.config.CACHE_DIR))
"""


@pytest.mark.numba
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_kernels_are_kept_in_a_temporary_folder_of_the_users_own_or_not_at_all(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": "", "NUMBA_DISABLE_JIT": "0"}
    environment["TMPDIR"] = str(tmp_path)
    own = tmp_path / f"metaplastic_np-{os.getuid()}"
    program = [sys.executable, "-c", "import numba\n" + READ_ONLY_HOME]

    def compile_kernels():
        found = subprocess.run(program, capture_output=True, text=True, env=environment)
        assert found.returncode == 0, found.stderr
        return found

    found = compile_kernels()
    assert found.stderr == ""
    assert found.stdout.startswith(str(own))
    assert found.stdout.endswith(" ''\n")  # others' kernels go where they would have gone
    assert own.stat().st_mode & 0o777 == 0o700
    assert list(own.rglob("*.nbi"))
    own.chmod(0o777)  # somebody else may have put code there
    found = compile_kernels()
    assert found.stdout == "None ''\n"
    assert found.stderr.count("Numba found no folder to keep compiled kernels in") == 1


# --- prompts -------------------------------------------------------------------------


def test_a_prompt_shows_results_in_a_few_lines_and_a_notebook_a_table():
    results = mp.run_experiment(mp.load_digits(), TINY, backend="numpy")
    first, means, shape = repr(results).splitlines()
    assert first == "Results of digits, seed 0: trials 2, items 3, presentations 3"
    ends = results.recall[:, :, -1].mean(axis=1)
    for network, recall in zip(TINY.networks, ends, strict=True):
        assert f"{network} {recall.mean():.2f}" in means
        cells = "".join(f"<td>{value:.2f}</td>" for value in (recall.mean(), *recall))
        assert f"<tr><td>{network}</td>{cells}</tr>" in results._repr_html_()
    assert shape.endswith("(3, 2, 4, 3)")


def test_nothing_that_holds_images_prints_them():
    digits = mp.load_digits()
    options = {"n_items": 3, "n_train_images": 20, "n_test_images": 5}
    items = mp.draw_items(digits, rng=np.random.default_rng(0), **options)
    shown = mp.scenarios.Presentation(
        images=np.zeros((9, 9)), labels=np.zeros(9, int), order=np.arange(9)[None]
    )
    for thing in (digits, items, shown):
        assert len(repr(thing)) < 200
    assert pickle.loads(pickle.dumps(items)).classes == items.classes

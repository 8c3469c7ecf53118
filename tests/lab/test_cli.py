"""The command line: exit status, one clear line, files, and what Ctrl-C leaves behind."""

import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from worlds import REPRODUCE

import metaplastic_np as mp
from metaplastic_np import cli
from metaplastic_np.cli import plans, steepness
from metaplastic_np.experiments import trials

RUN = ["run", "serial-position", "--items", "4", "--trials", "2", "--hidden", "8", "--batch", "64"]
QUICK = [*RUN, "--epochs", "1", "--backend", "numpy"]

TINY = mp.Settings(n_items=3, trials=1, n_train_images=20, n_features=8, hidden=(4,), epochs=1)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def run(*arguments, capsys):
    status = cli.main([*QUICK, *arguments])
    return status, *capsys.readouterr()


def test_a_run_prints_a_table_and_writes_npz_csv_png_and_svg(capsys):
    status, out, err = run(capsys=capsys)
    assert status == 0
    assert err == ""  # no progress bar where nobody watches
    assert sorted(path.name for path in Path("results").iterdir()) == [
        f"serial-position.{ending}" for ending in ("csv", "npz", "png", "svg")
    ]
    results = mp.load_results("results/serial-position.npz")
    assert results.settings.n_items == 4
    curve = results.recall[:, :, -1].mean(axis=1)
    row = next(line for line in out.splitlines() if line.startswith("position 4"))
    means = [float(word) for word in row.split()[2::3]]
    np.testing.assert_allclose(means, curve[:, 3], atol=0.0051)
    for word in ("mean recall", "primacy", "recency", "memorized", "conventional", "hybrid", "±"):
        assert word in out


def test_one_trial_has_no_interval(capsys):
    status, out, _ = run("--trials", "1", capsys=capsys)
    assert status == 0
    assert "±" not in out.split("position 1")[1]


def test_every_option_reaches_the_settings(capsys):
    options = {
        "--seed": "7",
        "--networks": "hybrid,homogeneous:0.8",
        "--learning-rate": "0.01",
        "--kappa": "5",
        "--non-target": "true",
        "--refresh": "update",
        "--out": "elsewhere",
    }
    words = [word for pair in options.items() for word in pair]
    status, _, _ = run(*words, "--by-epoch", capsys=capsys)
    assert status == 0
    settings = mp.load_results("elsewhere/serial-position.npz").settings
    assert settings == mp.Settings(
        n_items=4,
        trials=2,
        hidden=(8,),
        batch_size=64,
        epochs=1,
        seed=7,
        networks=("hybrid", "homogeneous:0.8"),
        learning_rate=0.01,
        steepness=None,
        kappa=5.0,
        non_target="true",
        refresh="update",
        by_epoch=True,
    )


def test_steepness_as_a_number_and_no_hidden_layer(capsys):
    status, _, _ = run("--steepness", "77", "--hidden", "", capsys=capsys)
    assert status == 0
    settings = mp.load_results("results/serial-position.npz").settings
    assert settings.steepness == 77
    assert settings.hidden == ()


def test_balance_finds_a_steepness_before_it_runs(capsys, monkeypatch):
    monkeypatch.setattr(steepness, "balance_steepness", lambda *_, **__: 123.0)
    status, _, _ = run("--steepness", "balance", capsys=capsys)
    assert status == 0
    assert mp.load_results("results/serial-position.npz").settings.steepness == 123


def test_equal_settings_replace_other_settings_are_refused(capsys):
    assert run(capsys=capsys)[0] == 0
    assert run(capsys=capsys)[0] == 0
    before = Path("results/serial-position.npz").read_bytes()
    status, out, err = run("--seed", "1", capsys=capsys)
    assert (status, out) == (1, "")
    path = Path("results/serial-position.npz")
    assert err.startswith(f"metaplastic-np: {path} belongs to a run with other settings")
    assert err.count("\n") == 1
    assert Path("results/serial-position.npz").read_bytes() == before


def test_resume_in_an_empty_folder_starts_afresh(capsys):
    assert run("--resume", capsys=capsys)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--networks", "hybridd"], "`networks` must name conventional, stable"),
        (["--networks", ""], "`networks` must name conventional, stable"),
        (
            ["--dataset", "cifar"],
            "or the path of an npz file or of a folder with IDX files; got 'cifar'",
        ),
        (["--items", "2"], "`n_items` must be at least 3: a wrong label"),
        (["--items", "46"], "`n_items` must be at most 45"),
        (["--trials", "0"], "`trials` must be a whole number, at least 1; got 0"),
        (["--jobs", "0"], "`jobs` must be a whole number, at least 1; got 0"),
        (["--epochs", "-1"], "`epochs` must be a whole number, at least 1; got -1"),
        (["--batch", "0"], "`batch_size` must be a whole number, at least 1; got 0"),
        (["--learning-rate", "nan"], "`learning_rate` must be a finite number above 0; got nan"),
        (["--kappa", "-3"], "`kappa` must be a finite number above 0; got -3.0"),
        (["--steepness", "steep"], "`--steepness` must be a number or 'balance'; got 'steep'"),
        (["--hidden", "8,wide"], "`--hidden` must be whole numbers between commas"),
        (["--hidden", "8,0"], "`hidden` must be a whole number, at least 1; got 0"),
        (["--backend", "torch"], "argument --backend: invalid choice: 'torch'"),
        (["--items", "ten"], "argument --items: invalid int value: 'ten'"),
        (["--kappa", "3", "--steepness", "4"], "not allowed with argument"),
    ],
)
def test_wrong_usage_is_one_line_writes_nothing_and_exits_2(arguments, message, capsys):
    status, out, err = run(*arguments, capsys=capsys)
    assert (status, out) == (2, "")
    assert message in err
    assert err.startswith("metaplastic-np: ")
    assert err.count("\n") == 1
    assert not Path("results").exists()


def test_the_version_is_that_of_the_package(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"metaplastic-np {version('metaplastic-np')}\n"


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run"], ["run", "everything"]])
def test_no_or_unknown_commands_exit_2(arguments, capsys):
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--help)" in err


def test_help_exits_0(capsys):
    assert cli.main(["run", "--help"]) == 0
    assert "--networks" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_one_line_and_exits_1(capsys):
    Path("file").write_text("in the way")
    status, out, err = run("--out", "file/results", capsys=capsys)
    assert (status, out) == (1, "")
    assert err.startswith(f"metaplastic-np: cannot write to {Path('file/results')}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "x" * 300], "cannot read xxx"),
        (["run", "serial-position", "two\nlines"], "unrecognized arguments: two lines (see"),
    ],
)
def test_whatever_is_typed_a_refusal_is_one_line(arguments, message, capsys):
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_divergence_exits_1_and_keeps_no_result(capsys):
    status, out, err = run("--learning-rate", "1e30", capsys=capsys)
    assert (status, out) == (1, "")
    assert "is not finite at update" in err
    assert not list(Path("results").iterdir())


def test_a_bug_is_one_line_too_unless_debugging(capsys, monkeypatch):
    def stumble(*_, **__):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(plans, "run_experiments", stumble)
    status, _, err = run(capsys=capsys)
    assert status == 1
    assert err.startswith(
        "metaplastic-np: unexpected ZeroDivisionError: oops (METAPLASTIC_NP_DEBUG"
    )
    monkeypatch.setenv("METAPLASTIC_NP_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(capsys=capsys)


def test_ctrl_c_inside_an_import_is_still_ctrl_c(capsys, monkeypatch):
    def wrapped(*_, **__):
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr(plans, "run_experiments", wrapped)
    status, _, err = run(capsys=capsys)
    assert (status, err) == (130, "metaplastic-np: stopped by Ctrl-C\n")


def test_warnings_are_one_line(capsys, monkeypatch):
    import warnings

    real = plans.run_experiments

    def warn(*arguments, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("mind the step", RuntimeWarning, stacklevel=1)
        return real(*arguments, **options)

    monkeypatch.setattr(plans, "run_experiments", warn)
    status, _, err = run(capsys=capsys)
    assert (status, err) == (0, "metaplastic-np: warning: mind the step\n")


def test_info_names_versions_and_backend(capsys, monkeypatch):
    monkeypatch.setenv("METAPLASTIC_NP_BACKEND", "numpy")
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    assert f"numpy           {np.__version__}" in out
    assert "backend         numpy" in out


@pytest.mark.numba
def test_info_names_the_kernel_cache(capsys, monkeypatch):
    monkeypatch.setenv("METAPLASTIC_NP_BACKEND", "numba")
    assert cli.main(["info"]) == 0
    assert "kernel cache" in capsys.readouterr().out


def test_ctrl_c_keeps_finished_trials_exits_130_and_resume_goes_on(capsys, monkeypatch):
    whole = [*QUICK, "--trials", "3", "--by-epoch"]
    assert cli.main([*whole, "--out", "whole"]) == 0
    write = plans.run_experiments

    def interrupted(*arguments, on_trial, **options):
        def stop(done):
            on_trial(done)
            if sum(done.values()) == 2:
                raise KeyboardInterrupt

        return write(*arguments, on_trial=stop, **options)

    monkeypatch.setattr(plans, "run_experiments", interrupted)
    capsys.readouterr()
    assert cli.main([*whole, "--out", "cut"]) == 130
    err = capsys.readouterr().err
    kept = Path("cut/serial-position.trials")
    assert "2 of 3 trials are kept in cut; add --resume" in err
    assert len(list(kept.iterdir())) == 2

    monkeypatch.setattr(plans, "run_experiments", write)
    assert cli.main([*whole, "--out", "cut", "--resume"]) == 0
    assert not Path("cut/serial-position.trials").exists()
    one, other = (mp.load_results(f"{name}/serial-position.npz") for name in ("whole", "cut"))
    assert one.confusion.tobytes() == other.confusion.tobytes()
    assert one.recall_by_epoch.size
    assert one.recall_by_epoch.tobytes() == other.recall_by_epoch.tobytes()


def test_finished_trials_of_other_settings_are_refused_and_kept(capsys, monkeypatch):
    real = plans.run_experiments

    def interrupted(*arguments, on_trial, **options):
        real(*arguments, on_trial=on_trial, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(plans, "run_experiments", interrupted)
    assert run(capsys=capsys)[0] == 130
    monkeypatch.setattr(plans, "run_experiments", real)
    for resume in ([], ["--resume"]):
        status, _, err = run("--seed", "3", *resume, capsys=capsys)
        assert status == 1
        assert "belongs to a run with other settings (seed 0, now 3)" in err
    assert len(list(Path("results/serial-position.trials").iterdir())) == 2
    status, _, err = run(capsys=capsys)  # equal settings, no --resume: nothing is thrown away
    assert status == 1
    assert err == (
        "metaplastic-np: 2 finished trials of this run are kept in results: add --resume to go on, "
        "or choose another folder to start again\n"
    )
    assert len(list(Path("results/serial-position.trials").iterdir())) == 2


def ends_soon(group):
    """Whether every process of the group is gone within ten seconds."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


PROGRAM = (
    # A shell's background job ignores SIGINT, and so would its children: ask for it again.
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from metaplastic_np.cli import main; sys.exit(main(sys.argv[1:]))"
)


def interrupt(*arguments, when):
    """Start a run, send its process group a Ctrl-C as a terminal does, and see how it ends.

    Coverage is not measured in it: coverage.py takes a lock, in Python, to note what is run, and a
    Ctrl-C right then leaves it locked for ever.
    """
    command = [sys.executable, "-c", PROGRAM, *QUICK, "--trials", "5000", *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    ) as process:
        try:
            when()
            os.killpg(process.pid, signal.SIGINT)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert ends_soon(process.pid), "a worker outlived the program"
    assert "Traceback" not in err
    assert "stopped by Ctrl-C" in err
    assert all(line.startswith("metaplastic-np: ") for line in err.splitlines())


FOLDER = Path("results/serial-position.trials")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups with SIGINT")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_real_ctrl_c_ends_the_process_and_its_workers_and_keeps_trials(jobs):
    def two_trials_are_there():
        deadline = time.monotonic() + 60
        while len(list(FOLDER.glob("*.npz"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)

    interrupt("--jobs", jobs, when=two_trials_are_there)
    assert len(list(FOLDER.glob("trial-*.npz"))) >= 2
    assert not list(FOLDER.glob(".*"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups with SIGINT")
@pytest.mark.parametrize("after", [0.2, 0.5, 0.8])
def test_ctrl_c_while_workers_start_is_silent_too(after):
    def workers_start():
        deadline = time.monotonic() + 60
        while not Path("results").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(after)

    interrupt("--jobs", "2", when=workers_start)


def test_a_worker_that_dies_exits_1_and_tells_what_is_kept(capsys, monkeypatch):
    real = plans.run_experiments

    def dying(*arguments, **options):
        real(*arguments, **options)
        raise mp.WorkerError("a worker process died")

    monkeypatch.setattr(plans, "run_experiments", dying)
    status, _, err = run(capsys=capsys)
    assert status == 1
    assert "2 of 2 trials are kept in" in err
    assert "a worker process died" in err


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_damaged_trial_is_set_aside_in_one_line(resume, capsys):
    FOLDER.mkdir(parents=True)
    (FOLDER / "trial-0000.npz").write_bytes(b"torn")
    status, _, err = run(*resume, capsys=capsys)
    assert status == 0
    path = FOLDER / "trial-0000.npz"
    assert err == (
        f"metaplastic-np: warning: cannot read {path}: it is damaged or not an npz file; it is now "
        "called trial-0000.npz.aside-1, and its trial is learned again\n"
    )
    assert [path.name for path in FOLDER.iterdir()] == ["trial-0000.npz.aside-1"]


def test_a_finished_run_that_is_resumed_says_so_and_learns_nothing(capsys, monkeypatch):
    assert run(capsys=capsys)[0] == 0
    capsys.readouterr()
    written = {path.name: path.read_bytes() for path in Path("results").iterdir()}
    monkeypatch.setattr(plans, "run_experiments", lambda *_, **__: {})
    status, out, err = run("--resume", capsys=capsys)
    assert (status, err) == (
        0,
        "metaplastic-np: this run is finished: nothing is left to learn in results\n",
    )
    assert "position 4" in out
    assert {path.name: path.read_bytes() for path in Path("results").iterdir()} == written


def test_a_run_is_extended_with_the_same_bits(capsys):
    assert run("--out", "whole", "--trials", "4", capsys=capsys)[0] == 0
    assert run(capsys=capsys)[0] == 0
    short = Path("results/serial-position.npz").read_bytes()
    status, _, err = run("--trials", "4", capsys=capsys)
    assert status == 1
    assert "2 finished trials of this run are kept in results: add --resume to go on" in err
    assert Path("results/serial-position.npz").read_bytes() == short
    assert run("--trials", "4", "--resume", capsys=capsys)[0] == 0
    whole, longer = (mp.load_results(f"{n}/serial-position.npz") for n in ("whole", "results"))
    for name in mp.experiments.ARRAYS:
        assert getattr(whole, name).tobytes() == getattr(longer, name).tobytes()
    assert not FOLDER.exists()
    status, _, err = run("--trials", "3", "--resume", capsys=capsys)
    assert status == 1
    assert "other settings (trials 4, now 3)" in err


def test_a_run_of_another_version_is_not_extended(capsys):
    assert run(capsys=capsys)[0] == 0
    path = Path("results/serial-position.npz")
    arrays, header = mp._util.storage.read_arrays(path)
    header["machine"]["metaplastic_np"] = "0.0.1"
    mp._util.storage.write_arrays(path, arrays, header=header)
    before = path.read_bytes()
    status, _, err = run("--trials", "3", "--resume", capsys=capsys)
    assert status == 1
    assert "was made by version 0.0.1 of metaplastic_np" in err
    assert path.read_bytes() == before
    assert not FOLDER.exists()


def stop_after(trials, monkeypatch):
    """A run that is stopped by Ctrl-C after so many trials."""
    real = plans.run_experiments

    def interrupted(*arguments, on_trial, **options):
        def stop(done):
            on_trial(done)
            if sum(done.values()) == trials:
                raise KeyboardInterrupt

        return real(*arguments, on_trial=stop, **options)

    monkeypatch.setattr(plans, "run_experiments", interrupted)


def test_a_refused_reproduction_removes_no_trial_of_any_run(capsys, monkeypatch):
    """The last run's name belongs to other settings; the first has trials that are kept."""
    with monkeypatch.context() as context:
        stop_after(3, context)
        assert cli.main([*REPRODUCE, "--out", "results"]) == 130
    last = list(mp.paper.EXPERIMENTS)[-1]
    other = mp.run_experiment(mp.load_digits(), TINY, backend="numpy")
    mp.save_results(other, "results", name=last)

    def look():
        files = (path for path in Path("results").rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in files}

    before = look()
    for resume in ([], ["--resume"]):
        capsys.readouterr()
        assert cli.main([*REPRODUCE, "--out", "results", *resume]) == 1
        assert f"{last}.npz belongs to a run with other settings" in capsys.readouterr().err
        assert look() == before


def test_a_state_of_another_run_is_refused_and_of_this_run_kept(capsys, monkeypatch):
    """Of a trial that takes long, and was stopped before any trial was finished."""
    monkeypatch.setattr(trials, "STATE_SECONDS", 0.0)
    with monkeypatch.context() as context:
        real, learned = trials.learn_item, []

        def stop(*given, **options):
            learned.append(1)
            if len(learned) > 6:
                raise KeyboardInterrupt
            return real(*given, **options)

        context.setattr(trials, "learn_item", stop)
        status, _, err = run(capsys=capsys)
    assert status == 130
    assert "0 of 2 trials are kept in results; add --resume to go on" in err
    (state,) = FOLDER.iterdir()
    before = state.read_bytes()
    for words, message in (
        (["--seed", "3"], "trial-0000.state.npz belongs to a run with other settings"),
        ([], "0 finished trials of this run are kept in results: add --resume to go on, or choose"),
    ):
        status, _, err = run(*words, capsys=capsys)
        assert status == 1
        assert message in err
        assert state.read_bytes() == before
    assert run("--resume", capsys=capsys)[0] == 0
    assert run("--out", "whole", capsys=capsys)[0] == 0
    resumed, whole = (mp.load_results(f"{n}/serial-position.npz") for n in ("results", "whole"))
    assert resumed.confusion.tobytes() == whole.confusion.tobytes()


def test_divergence_says_where_and_what_is_kept(capsys, monkeypatch):
    real = trials.learn_item

    def diverge(network, learner, presentation, **options):
        if presentation.number == 1 and len(list(FOLDER.glob("trial-*.npz"))) == 1:
            mp._util.errors.raise_diverged("the weights", presentation.number)
        return real(network, learner, presentation, **options)

    monkeypatch.setattr(trials, "learn_item", diverge)
    status, _, err = run("--networks", "stable", capsys=capsys)
    assert status == 1
    assert err == (
        "metaplastic-np: 1 of 2 trials are kept in results\n"
        "metaplastic-np: serial-position, trial 2 of 2, stable: the weights are not finite after "
        "presentation 2. Learning diverged: try a smaller learning rate\n"
    )


@pytest.mark.parametrize("kind", ["file", "link to a file", "link to nothing", "link to a folder"])
def test_a_checkpoint_that_is_no_folder_is_one_line_or_works(kind, capsys):
    Path("results").mkdir()
    if kind == "file":
        FOLDER.write_text("mine")
    else:
        if kind == "link to a folder":
            Path("elsewhere").mkdir()
        elif kind == "link to a file":
            Path("elsewhere").write_text("mine")
        FOLDER.symlink_to(Path("elsewhere").absolute())
    for resume in ([], ["--resume"]):
        status, _, err = run(*resume, capsys=capsys)
        if kind == "link to a folder":
            assert status == 0
            continue
        assert status == 1
        assert err.startswith(f"metaplastic-np: cannot write to {FOLDER}: ")
        assert err.count("\n") == 1
        assert FOLDER.is_symlink() or FOLDER.read_text() == "mine"


def test_a_file_of_the_users_among_the_trials_stays(capsys):
    FOLDER.mkdir(parents=True)
    (FOLDER / "notes.txt").write_text("mine")
    assert run(capsys=capsys)[0] == 0
    assert [path.name for path in FOLDER.iterdir()] == ["notes.txt"]


def test_own_images_called_as_an_experiment_are_not_replaced_nor_told_to_be_deleted(capsys):
    Path("results").mkdir()
    path = Path("results/serial-position.npz")
    np.savez(path, train_images=np.zeros((4, 2)))
    before = path.read_bytes()
    status, _, err = run(capsys=capsys)
    assert status == 1
    assert err == (
        f"metaplastic-np: cannot read {path}: it holds no experiment; it is not replaced: choose "
        "another folder\n"
    )
    assert path.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="pipes close otherwise there")
def test_a_reader_that_goes_away_is_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    found = subprocess.run(
        [sys.executable, "-m", "metaplastic_np", "info"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    os.close(writer)
    assert (found.returncode, found.stderr) == (1, "")


def test_the_module_runs_as_a_program():
    found = subprocess.run(
        [sys.executable, "-m", "metaplastic_np", "run", "serial-position", "--trials", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    assert found.stderr == ("metaplastic-np: `trials` must be a whole number, at least 1; got 0\n")


def test_a_run_imports_no_scipy_stats():
    """It takes longer to import than a short run takes to learn."""
    code = (
        "import sys; from metaplastic_np.cli import main; status = main(sys.argv[1:]); "
        "sys.exit(status or ('scipy.stats' in sys.modules and 'scipy.stats was imported'))"
    )
    many = ["--trials", "10"]  # from ten on, figures resample
    found = subprocess.run(
        [sys.executable, "-c", code, *QUICK, *many], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")

"""A real Dask scheduler and two workers, started here: the same bits, and clear lines."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from test_experiments import SMALL, same_bits

import metaplastic_np as mp
from metaplastic_np import cli
from metaplastic_np.cli import plans

RUN = ["run", "serial-position", "--items", "4", "--trials", "6", "--hidden", "8", "--epochs", "1"]


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture
def cluster(tmp_path):
    """Address of a scheduler, and its two workers."""
    file = tmp_path / "scheduler.json"
    plain = ("--no-dashboard", "--scheduler-file", str(file))
    scheduler = start("distributed.cli.dask_scheduler", "--port", "0", *plain)
    options = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", tmp_path)
    workers = [
        start("distributed.cli.dask_worker", "--scheduler-file", str(file), *map(str, options))
        for _ in range(2)
    ]
    try:
        for _ in range(600):
            if file.exists() and file.stat().st_size:
                break
            time.sleep(0.05)
        yield json.loads(file.read_text())["address"], workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


def test_a_cluster_gives_the_same_bits_as_one_process(cluster):
    address, _ = cluster
    here = mp.run_experiment(mp.load_digits(), SMALL, backend="numpy")
    with mp.experiments.open_cluster(address) as executor:
        there = mp.run_experiment(mp.load_digits(), SMALL, backend="numpy", executor=executor)
    assert same_bits(here, there)


def test_a_worker_that_is_killed_leaves_its_trials_to_the_other(cluster):
    address, workers = cluster
    settings = replace(SMALL, trials=12)
    here = mp.run_experiment(mp.load_digits(), settings, backend="numpy")

    def kill(done):
        if done["experiment"] == 2:
            os.kill(workers[0].pid, signal.SIGKILL)

    with mp.experiments.open_cluster(address) as executor:
        there = mp.run_experiment(
            mp.load_digits(), settings, backend="numpy", executor=executor, on_trial=kill
        )
    assert same_bits(here, there)


def test_when_all_workers_and_the_scheduler_die_finished_trials_are_kept(
    cluster, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    address, workers = cluster
    real = plans.run_experiments

    def dying(*arguments, on_trial, **options):
        def kill(done):
            on_trial(done)
            if sum(done.values()) == 2:
                for worker in workers:
                    worker.kill()
                raise_scheduler_death(address)

        return real(*arguments, on_trial=kill, **options)

    monkeypatch.setattr(plans, "run_experiments", dying)
    options = ["--backend", "numpy", "--out", "cut"]
    assert cli.main([*RUN, *options, "--cluster", address]) == 1
    err = capsys.readouterr().err
    assert "of 6 trials are kept in cut; add --resume" in err
    assert "a worker" in err
    monkeypatch.setattr(plans, "run_experiments", real)
    assert cli.main([*RUN, *options, "--resume"]) == 0
    assert cli.main([*RUN, "--backend", "numpy", "--out", "whole"]) == 0
    one, other = (mp.load_results(f"{name}/serial-position.npz") for name in ("whole", "cut"))
    assert same_bits(one, other)


def raise_scheduler_death(address):
    """End the scheduler through its own door, as a crash of its machine would."""
    from distributed import Client

    with Client(address) as client:
        client.shutdown()


def test_a_cluster_without_workers_is_told_not_waited_for(cluster, monkeypatch, tmp_path):
    from metaplastic_np.experiments import workers as module

    monkeypatch.setattr(module, "NO_WORKER_SECONDS", 1.0)
    address, workers = cluster

    def kill(_):
        for worker in workers:
            worker.kill()

    with (
        mp.experiments.open_cluster(address) as executor,
        pytest.raises(mp.WorkerError, match="a worker process died"),
    ):
        mp.run_experiment(
            mp.load_digits(),
            replace(SMALL, trials=40),
            backend="numpy",
            executor=executor,
            checkpoint=tmp_path / "kept",
            on_trial=kill,
        )
    assert list((tmp_path / "kept").glob("trial-*.npz"))


def test_a_scheduler_that_is_not_there_is_one_clear_line(capsys, monkeypatch, tmp_path):
    from metaplastic_np.experiments import workers

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "CLUSTER_SECONDS", 0.5)
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        assert cli.main([*RUN, "--cluster", address]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"metaplastic-np: no Dask scheduler answers at {address}")
        assert "start one with `dask scheduler`, or use --jobs" in err
        assert err.count("\n") == 1


def test_without_dask_the_extra_is_named(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli.main([*RUN, "--cluster", "tcp://127.0.0.1:1"]) == 2
    assert 'pip install "metaplastic-np[cluster]"' in capsys.readouterr().err

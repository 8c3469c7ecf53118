"""One row is all: a toy experiment in the table is offered, planned, shown and judged."""

from dataclasses import replace

import pytest

import metaplastic_np as mp
from metaplastic_np import cli
from metaplastic_np.paper import CLAIMS, EXPERIMENTS, PRESETS, Claim, Experiment, Shown
from metaplastic_np.paper.pictures import show_serial_position
from metaplastic_np.scenarios import SCHEDULES

SMALL = {"n_train_images": 40, "n_test_images": 10, "n_features": 16, "hidden": (8,), "epochs": 1}
TOY = Experiment(
    name="toy",
    trials=(2, 3, 4),
    networks=("conventional", "homogeneous:best"),
    schedule="repetition",
    n_items=5,
    changes={"non_target": "none", **SMALL},
    quick={"networks": ("hybrid",)},
    passes=4,
    alone=("stable",),
    pictures=(
        Shown(
            name="toy-beside-the-hybrid",
            needs={"toy": "", "serial-position": "hybrid"},
            show=lambda evidence: show_serial_position(evidence["toy"]),
        ),
    ),
)
CLAIM = Claim(
    id="C13",
    statement="Toys are remembered.",
    needs={"toy": ("hybrid",)},
    measure=lambda evidence: {"above -1": 1 + evidence["toy"].recall[0, :, -1].mean(axis=-1)},
    controls=(lambda evidence, _: evidence,),
)


@pytest.fixture(autouse=True)
def _with_a_toy(monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "toy", TOY)
    monkeypatch.setitem(CLAIMS, "C13", CLAIM)


@pytest.fixture
def toy():
    settings = mp.paper.plan_runs(mp.load_digits(), "quick")["toy"]
    return mp.run_experiment(mp.load_digits(), settings, backend="numpy")


def test_run_offers_it_and_runs_it_with_its_networks_alone(capsys, tmp_path):
    assert cli.main(["run", "--help"]) == 0
    assert "biased-flexibility,toy}" in capsys.readouterr().out
    words = ["--items", "4", "--trials", "1", "--hidden", "8", "--epochs", "1"]
    assert cli.main(["run", "toy", *words, "--backend", "numpy", "--out", str(tmp_path)]) == 0
    settings = mp.load_results(tmp_path / "toy.npz").settings
    assert (settings.networks, settings.schedule) == (("stable",), "repetition")


def test_run_does_not_offer_a_row_without_networks_to_be_alone_with(capsys, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "toy", replace(TOY, alone=()))
    assert cli.main(["run", "toy"]) == 2
    assert "invalid choice: 'toy'" in capsys.readouterr().err


@pytest.mark.parametrize(("preset", "trials"), [*zip(PRESETS, TOY.trials, strict=True)])
def test_every_preset_plans_it(preset, trials):
    toy = mp.paper.plan_runs(mp.load_digits(), preset, seed=3)["toy"]
    assert (toy.trials, toy.seed, toy.n_items, toy.schedule) == (trials, 3, 5, "repetition")
    assert toy.non_target == "none"
    quick = preset == "quick"
    assert toy.networks == (("hybrid",) if quick else ("conventional", "homogeneous:0.825"))


def test_reproduce_learns_it_and_no_option_undoes_what_it_changes(monkeypatch, tmp_path):
    seen = {}

    def stop(_, plan, *__, **___):
        seen.update(plan)
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.commands, "learn_plan", stop)
    arguments = ["reproduce", "--non-target", "true", "--batch", "64", "--out", str(tmp_path)]
    assert cli.main(arguments) == 130
    assert (seen["toy"].non_target, seen["toy"].batch_size) == ("none", 64)


def test_its_own_picture_and_its_others_are_shown(toy):
    assert list(mp.paper.show_all({"toy": toy})) == ["toy"]
    both = {"toy": toy, "serial-position": toy}
    shown = list(mp.paper.show_all(both))
    assert shown == ["serial-position", "toy", "toy-beside-the-hybrid"]
    assert list(mp.paper.list_pictures())[-1] == "which-synapses"  # after those of all rows
    in_place = replace(TOY.pictures[0], name="toy")
    EXPERIMENTS["toy"] = replace(TOY, pictures=(in_place,))
    assert mp.paper.list_pictures()["toy"] is in_place


def test_a_claim_that_needs_it_is_judged_where_its_list_and_passes_are_there(toy):
    judged = {claim["id"]: claim for claim in mp.paper.judge_claims({"toy": toy})}
    assert (judged["C13"]["verdict"], judged["C13"]["n"]) == ("holds", 2)
    assert judged["C1"]["n"] == 0
    too_few = replace(toy, recall=toy.recall[:, :, : 4 * 5])
    assert mp.paper.judge_claim("C13", {"toy": too_few})["n"] == 0
    EXPERIMENTS["toy"] = replace(TOY, n_items=6)
    assert mp.paper.judge_claim("C13", {"toy": toy})["n"] == 0


def test_the_report_names_the_runs_behind_its_pictures(toy):
    evidence = {"toy": toy}
    drawn = {name: (picture, b"<svg/>") for name, picture in mp.paper.show_all(evidence).items()}
    judged = mp.paper.judge_run(evidence, preset="custom")
    page = mp.paper.make_report(evidence, judged, drawn)
    assert '<article id="figure-toy">' in page
    assert "<code>toy.npz</code>" in page
    assert "Toys are remembered." in page


def test_the_table_names_what_there_is():
    for name, row in EXPERIMENTS.items():
        assert row.name == name
        assert row.schedule in SCHEDULES
        assert len(row.trials) == len(PRESETS)
        for shown in row.pictures:
            assert set(shown.needs) <= set(EXPERIMENTS)
    for claim in CLAIMS.values():
        assert set(claim.needs) <= set(EXPERIMENTS)

"""What bad input gets: one clear line with the argument, what was expected, what was seen."""

import io
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from worlds import make_world

import metaplastic_np as mp
from metaplastic_np._util.storage import write_arrays
from metaplastic_np.experiments.checkpoints import describe_trial, read_progress
from metaplastic_np.experiments.settings import describe_run
from metaplastic_np.plots import Panel, Picture, Series

RNG = np.random.default_rng(0)
F = np.array([0.5, 0.5])
PIXELS = np.arange(48).reshape(3, 4, 4)
FEW = mp.Settings(n_items=3, n_train_images=2, n_test_images=1, n_features=0)


def read_only(array):
    array.flags.writeable = False
    return array


def dataset(**changes):
    arrays = {
        "train_images": np.zeros((6, 4, 4)),
        "train_labels": np.array([0, 1, 2, 0, 1, 2]),
        "test_images": np.zeros((3, 4, 4)),
        "test_labels": np.array([0, 1, 2]),
    }
    return mp.Dataset(name="own", **{**arrays, **changes})


def with_pixel(value):
    images = np.zeros((6, 4, 4))
    images[1, 2, 3] = value
    return images


def items(**changes):
    options = {"n_items": 3, "n_train_images": 2, "n_test_images": 1, "rng": RNG}
    return mp.draw_items(dataset(), **{**options, **changes})


def learn(**changes):
    """Learn in a small world of which one thing is wrong."""
    world = make_world(0)
    shown = world.presentations[0]
    arrays = {"images": shown.images, "labels": shown.labels, "order": shown.order}
    presentation = mp.scenarios.Presentation(**{**arrays, **changes})
    return mp.learn_item(world.network, world.metaplasticity, presentation, settings=world.settings)


def rule(**changes):
    arrays = {"initial_weights": np.zeros(3), "flexibility": np.ones(3), "steepness": 1.0}
    return mp.Metaplasticity(**{**arrays, **changes})


def plasticity(flexibility, displacement=F, steepness=1.0):
    return mp.measure_plasticity(flexibility, displacement, steepness=steepness)


def second_curve(is_second):
    values = np.eye(2)
    return Series(label="", network="hybrid", x=[0, 1], values=values, is_second=is_second)


CASES = {
    # plots
    "one axis": (
        lambda: mp.plots.plot_curves({"hybrid": [1, 2]}, "recall"),
        "`what` must name both axes, as in \"recall against item\"; got 'recall'",
    ),
    # flexibility, plasticity
    "flexibility above 1": (
        lambda: plasticity(np.array([[0.5, 1.0], [1.3, 0.0]]), np.zeros((2, 2))),
        r"`flexibility` must lie in \[0, 1\]; got 1.3 at \(1, 0\)",
    ),
    "flexibility NaN": (
        lambda: plasticity(np.array([0.5, np.nan])),
        r"`flexibility` must lie in \[0, 1\]; got nan at \(1\)",
    ),
    "flexibility of a rule": (
        lambda: rule(flexibility=np.array([1.0, -0.1, 0.0])),
        r"`flexibility` must lie in \[0, 1\]; got -0.1 at \(1\)",
    ),
    "flexibility of integers": (
        lambda: plasticity([1, 0]),
        "`flexibility` must hold float32 or float64 numbers; got int64",
    ),
    "displacement of another shape": (
        lambda: plasticity(F, np.zeros(3)),
        r"`displacement` must have shape \(2\); got \(3,\)",
    ),
    "displacement of another dtype": (
        lambda: plasticity(F, F.astype(np.float32)),
        "`displacement` must be float64 like the arrays it is used with; got float32",
    ),
    "displacement infinite": (
        lambda: plasticity(F, np.array([0, np.inf])),
        r"`displacement` must be finite; got inf at \(1\)",
    ),
    "steepness 0": (
        lambda: plasticity(F, steepness=0),
        "`steepness` must be a finite number above 0; got 0",
    ),
    "steepness that float32 cannot hold": (
        lambda: plasticity(F.astype(np.float32), F.astype(np.float32), 1e39),
        "`steepness` must be finite and above 0 in float32; got 1e\\+39",
    ),
    "learning rate of a synapse": (
        lambda: mp.rules.measure_synaptic_rate(F, learning_rate=-1),
        "`learning_rate` must be a finite number above 0; got -1",
    ),
    "plasticity of integers": (
        lambda: mp.rules.measure_synaptic_rate([1, 0], learning_rate=0.1),
        "`plasticity` must hold float32 or float64 numbers; got int64",
    ),
    "kappa of NaN": (
        lambda: mp.measure_kappa([np.nan, 1.0], steepness=1.0),
        r"`displacement` must be finite; got nan at \(0\)",
    ),
    "no dtype": (
        lambda: mp.draw_flexibility("hybrid", 3, rng=RNG, dtype=None),
        "`dtype` must be float32 or float64; got None",
    ),
    "a list for a network's name": (
        lambda: mp.draw_flexibility(["hybrid"], 3, rng=RNG),
        r"`networks` must name .*; got \['hybrid'\]",
    ),
    "a word for an effort": (
        lambda: mp.rules.measure_drift("abc", flexibility=0.0),
        "`effort` must be a finite number above 0; got 'abc'",
    ),
    "kappa of a newborn": (
        lambda: mp.measure_kappa(np.zeros(3), steepness=1.0),
        "`displacement` must not be 0 everywhere: nothing has moved since birth",
    ),
    "homogeneous above 1": (
        lambda: mp.draw_flexibility("homogeneous:1.5", 3, rng=RNG),
        r"`homogeneous:F` must be a number in \[0, 1\]; got 1.5",
    ),
    "homogeneous of a word": (
        lambda: mp.draw_flexibility("homogeneous:half", 3, rng=RNG),
        "`networks` must name conventional, .* or homogeneous:F; got 'homogeneous:half'",
    ),
    "unknown network": (
        lambda: mp.draw_flexibility("hybridd", 3, rng=RNG),
        "`networks` must name conventional, stable, hybrid, .*; got 'hybridd'",
    ),
    "flexibility of a half dtype": (
        lambda: mp.draw_flexibility("hybrid", 3, rng=RNG, dtype=np.float16),
        "`dtype` must be float32 or float64; got float16",
    ),
    "a dtype that is none": (
        lambda: mp.draw_flexibility("hybrid", 3, rng=RNG, dtype="float31"),
        "`dtype` must be float32 or float64; got 'float31'",
    ),
    "a seed for a generator": (
        lambda: mp.draw_flexibility("hybrid", 3, rng=0),
        r"`rng` must be a numpy.random.Generator, as default_rng\(seed\) makes; got 0",
    ),
    "negative effort": (
        lambda: mp.rules.measure_drift(-1.0, flexibility=0.5),
        "`effort` must be a finite number above 0; got -1.0",
    ),
    # networks and layers
    "one layer size": (
        lambda: mp.init_network((4,), rng=RNG),
        r"`layer_sizes` must list inputs, hidden layers and outputs; got \(4,\)",
    ),
    "layer sizes that are no list": (
        lambda: mp.init_network(4, rng=RNG),
        "`layer_sizes` must list inputs, hidden layers and outputs; got 4",
    ),
    "an empty layer": (
        lambda: mp.init_network((4, 0, 2), rng=RNG),
        "`layer_sizes` must be a whole number, at least 1; got 0",
    ),
    "parameters that do not fit": (
        lambda: mp.Network(layer_sizes=(4, 2), parameters=np.zeros(9)),
        r"`parameters` must be an array of shape \(10,\); got \(9,\)",
    ),
    "dense shapes": (
        lambda: mp.nn.dense_forward(np.zeros((1, 3)), np.zeros((2, 2)), np.zeros(2)),
        r"`inputs` \(n, n_in\), `weights` \(n_in, n_out\) and .* must fit; got \(1, 3\), \(2, 2\)",
    ),
    "dense dtypes": (
        lambda: mp.nn.dense_forward(np.zeros((1, 2), np.float32), np.zeros((2, 2)), np.zeros(2)),
        "`inputs`, `weights` and `biases` must share one dtype; got float32, float64 and float64",
    ),
    "images of another dtype": (
        lambda: mp.predict(make_world(0).network, np.zeros((2, 6), np.float32)),
        "`images` must be float64 like the arrays it is used with; got float32",
    ),
    "NaN in an image to answer": (
        lambda: mp.predict(make_world(0).network, np.full((1, 6), np.nan)),
        r"`images` must be finite; got nan at \(0, 0\)",
    ),
    "a batch without images": (
        lambda: mp.loss_and_gradient(make_world(0).network, np.zeros((0, 6)), np.zeros(0, int)),
        r"`logits` must have shape \(n, n_classes\) with at least one image; got \(0, 3\)",
    ),
    "parameters that are a list": (
        lambda: mp.Network(layer_sizes=(4, 2), parameters=[0.0] * 10),
        r"`parameters` must be an array of shape \(10,\)",
    ),
    "parameters that are strided": (
        lambda: mp.Network(layer_sizes=(4, 2), parameters=np.zeros(20)[::2]),
        "`parameters` must be contiguous; got a strided view",
    ),
    "parameters that cannot be written": (
        lambda: mp.Network(layer_sizes=(4, 2), parameters=read_only(np.zeros(10))),
        "`parameters` must be writable; got a read-only array",
    ),
    "gradient of another shape": (
        lambda: mp.nn.sgd_step_inplace(make_world(0).network, np.zeros(3), learning_rate=1.0),
        r"`gradient` must have shape \(.*\); got \(3,\)",
    ),
    "rates of another shape": (
        lambda: mp.nn.sgd_step_inplace(
            make_world(0).network, np.zeros(74), learning_rate=np.zeros(3)
        ),
        r"`learning_rate` must have shape \(74\); got \(3,\)",
    ),
    "gradient check at NaN": (
        lambda: mp.gradient_check(np.sum, np.ones(2), np.array([0, np.nan]), rng=RNG),
        r"`point` must be finite; got nan at \(1\)",
    ),
    "gradient check in float32": (
        lambda: mp.gradient_check(np.sum, np.ones(2), np.ones(2, np.float32), rng=RNG),
        "`point` must be float64",
    ),
    # learning
    "labels out of range": (
        lambda: learn(labels=np.array([0, 1, 2, 0, 1, 2, 0, 1, 3])),
        r"`labels` must lie in 0..2; got 3 at \(8\)",
    ),
    "labels that are not whole": (
        lambda: learn(labels=np.zeros(9)),
        "`labels` must hold whole numbers; got float64",
    ),
    "too few labels": (
        lambda: learn(labels=np.zeros(4, int)),
        r"`labels` must have shape \(9,\), one label an image; got \(4,\)",
    ),
    "images too narrow": (
        lambda: learn(images=np.zeros((9, 5))),
        r"`images` must have shape \(any, 6\); got \(9, 5\)",
    ),
    "images with NaN": (
        lambda: learn(images=np.full((9, 6), np.nan)),
        r"`images` must be finite; got nan at \(0, 0\)",
    ),
    "images of mixed dtype": (
        lambda: learn(images=np.zeros((9, 6), np.float32)),
        "`images` must be float64 like the arrays it is used with; got float32",
    ),
    "an order that skips": (
        lambda: learn(order=np.zeros((2, 9), int)),
        "`order` must visit each of 9 images once; got another in epoch 0",
    ),
    "an order of no epochs": (
        lambda: learn(order=np.zeros((0, 9), int)),
        r"`order` must have shape \(epochs, images\) and hold whole numbers; got \(0, 9\)",
    ),
    "a rule of another network": (
        lambda: mp.learn_item(
            make_world(0).network,
            rule(),
            make_world(0).presentations[0],
            settings=mp.LearningSettings(),
        ),
        r"`initial_weights` must have shape \(.*\); got \(3,\)",
    ),
    "a rule that is not finite": (
        lambda: rule(initial_weights=np.array([0, np.inf, 0])),
        r"`initial_weights` must be finite; got inf at \(1\)",
    ),
    "learning rate 0": (
        lambda: mp.LearningSettings(learning_rate=0),
        "`learning_rate` must be a finite number above 0; got 0",
    ),
    "learning rate infinite": (
        lambda: mp.LearningSettings(learning_rate=np.inf),
        "`learning_rate` must be a finite number above 0; got inf",
    ),
    "batch 0": (
        lambda: mp.LearningSettings(batch_size=0),
        "`batch_size` must be a whole number, at least 1; got 0",
    ),
    "half a batch": (
        lambda: mp.LearningSettings(batch_size=0.5),
        "`batch_size` must be a whole number, at least 1; got 0.5",
    ),
    "unknown refresh": (
        lambda: mp.LearningSettings(refresh="never"),
        "`refresh` must be one of presentation, update; got 'never'",
    ),
    "unknown backend": (
        lambda: mp.learn_item(
            make_world(0).network,
            make_world(0).metaplasticity,
            make_world(0).presentations[0],
            settings=mp.LearningSettings(),
            backend="torch",
        ),
        "`backend` must be one of auto, numba, numpy; got 'torch'",
    ),
    # datasets and items
    "NaN in an image": (
        lambda: dataset(train_images=with_pixel(np.nan)),
        r"`train_images` must be finite; got nan at \(1, 2, 3\)",
    ),
    "inf in an image": (
        lambda: dataset(train_images=with_pixel(np.inf)),
        r"`train_images` must be finite; got inf at \(1, 2, 3\)",
    ),
    "no image": (
        lambda: dataset(test_images=np.zeros((0, 4, 4)), test_labels=np.zeros(0, int)),
        r"`test_images` must have shape \(n, \.\.\.\) with at least one image and pixel",
    ),
    "images of words": (
        lambda: dataset(test_images=np.full((3, 4, 4), "a")),
        "`test_images` must hold real numbers; got <U1",
    ),
    "another canvas": (
        lambda: dataset(test_images=np.zeros((3, 4, 5))),
        r"`test_images` must have images shaped like `train_images`; got \(4, 5\) and \(4, 4\)",
    ),
    "pairs of flat images": (
        lambda: dataset(train_images=np.zeros((6, 16)), test_images=np.zeros((3, 16)), paired=True),
        r"`train_images` must have shape \(n, rows, columns\) to be paired; got \(6, 16\)",
    ),
    "a class without images": (
        lambda: dataset(train_labels=np.array([0, 1, 1, 0, 1, 1])),
        "`train_labels` must hold every class of `test_labels`; class '2' has no image: add some",
    ),
    "a class without test images": (
        lambda: dataset(test_labels=np.array([0, 2, 2])),
        r"`test_labels` must .*; class '1' has no image: add some, or leave it out of both",
    ),
    "one class": (
        lambda: dataset(train_labels=np.zeros(6, int), test_labels=np.zeros(3, int)),
        "`train_labels` must hold at least two classes; got one, '0'",
    ),
    "a negative label": (
        lambda: learn(labels=np.array([0, 1, 2, 0, 1, 2, 0, 1, -2])),
        r"`labels` must not be negative; got -2 at \(8\)",
    ),
    "labels between whole numbers": (
        lambda: dataset(test_labels=np.array([0, 0.5, 1])),
        r"`test_labels` must hold words or whole numbers, none missing \(.*\); got 0.5 at \(1\)",
    ),
    "a missing label": (
        lambda: dataset(test_labels=np.array([0, np.nan, 1])),
        r"`test_labels` must hold words or whole numbers, none missing \(.*\); got nan at \(1\)",
    ),
    "a label too large to be told apart": (
        lambda: dataset(test_labels=np.array([0, 1, 2**63], np.uint64)),
        r"`test_labels` must hold words or whole numbers, none missing \(.*\); got 9223372036",
    ),
    "labels that are dates": (
        lambda: dataset(test_labels=np.array([0, 1, 2], "M8[D]")),
        r"`test_labels` must hold words or whole numbers; got datetime64\[D\]",
    ),
    "words and a missing one": (
        lambda: dataset(test_labels=np.array(["a", "b", None], object)),
        "`test_labels` must hold only words or only whole numbers, none missing; got NoneType and",
    ),
    "one-hot rows of two": (
        lambda: dataset(test_labels=np.eye(3, dtype=int) | np.eye(3, dtype=int)[0]),
        r"`test_labels` must have shape \(3,\), one label an image, or be one-hot; got \(3, 3\)",
    ),
    "images by column": (
        lambda: dataset(test_images=np.zeros((4, 3))),
        r"`test_labels` must have shape \(4,\), one .*; got \(3,\) \(if images are columns, move",
    ),
    "too few names of classes": (
        lambda: dataset(class_names=("cat", "dog")),
        r"`class_names` must name labels 0, 1, 2, \.\.\. in this order; got no name for label 2",
    ),
    "two scales": (
        lambda: dataset(train_images=np.arange(96).reshape(6, 4, 4) / 96, test_images=PIXELS),
        "`train_images` and `test_images` must be on one scale; got numbers up to 0.98.* and up to",
    ),
    "pixels and numbers of -1 to 1": (
        lambda: dataset(test_images=PIXELS, train_images=np.linspace(-1, 1, 96).reshape(6, 4, 4)),
        "`train_images` and `test_images` must be on one scale; got numbers up to 1 and up to 47",
    ),
    "rows of unlike length": (
        lambda: dataset(test_images=[[1, 2], [3]]),
        "`test_images` must make one array; got setting an array element",
    ),
    "masked pixels": (
        lambda: dataset(test_images=np.ma.masked_equal(PIXELS, 7)),
        "`test_images` must not be masked; fill what is missing, or leave it out; got a mask",
    ),
    "masked recall": (
        lambda: mp.metrics.measure_primacy(np.ma.masked_equal([0.1, 0.2, 0.3], 0.2)),
        "`curve` must not be masked; fill what is missing, or leave it out; got a mask",
    ),
    "sparse images": (
        lambda: dataset(test_images=csr_matrix(PIXELS.reshape(3, 16))),
        r"`test_images` must be dense, as its `toarray\(\)` is; got csr_matrix",
    ),
    "arrays without names": (
        lambda: mp.Dataset("own", PIXELS, [0, 1, 2], PIXELS, [0, 1, 2]),
        r"`Dataset` takes its arrays by name: Dataset\(name='own', train_images=",
    ),
    "an open file for a path": (
        lambda: mp.load_npz(io.BytesIO()),
        "`path` must be a path, as text or a pathlib.Path; got BytesIO",
    ),
    "an open file for a network's path": (
        lambda: mp.load_network(io.BytesIO()),
        "`path` must be a path, as text or a pathlib.Path; got BytesIO",
    ),
    "a number for a folder": (
        lambda: mp.load_mnist(3),
        "`folder` must be a path, as text or a pathlib.Path; got int",
    ),
    "unknown dataset": (
        lambda: mp.scenarios.load_dataset("cifar"),
        "`dataset` must be digits, mnist or the path of an npz .* with IDX files; got 'cifar'",
    ),
    "a number for a dataset": (
        lambda: mp.scenarios.load_dataset(7),
        "`dataset` must be digits, mnist or the path of an npz file or of a folder .*; got 7",
    ),
    "a list for a dataset": (
        lambda: mp.scenarios.load_dataset(["digits"]),
        r"`dataset` must be digits, mnist or the path of an npz file or .*; got \['digits'\]",
    ),
    "a file that is not there": (
        lambda: mp.scenarios.load_dataset("no/such.npz"),
        r"cannot read .*such.npz: No such file or directory",
    ),
    "more items than there are": (
        lambda: items(n_items=4),
        "`n_items` must be at most 3, the items this dataset has; got 4",
    ),
    "one item": (
        lambda: items(n_items=1),
        "`n_items` must be a whole number, at least 2; got 1",
    ),
    "more images than there are": (
        lambda: items(n_train_images=3),
        r"`n_train_images` must be at most 2, the images class '\d' has; got 3",
    ),
    "no test images": (
        lambda: items(n_test_images=0),
        "`n_test_images` must be a whole number, at least 1; got 0",
    ),
    "two items with permuted labels": (
        lambda: mp.draw_presentation(items(n_items=2), 0, epochs=1, rng=RNG),
        r"`n_items` must be at least 3: a wrong label is a third item's \(two can be learned with",
    ),
    "too few images for non-targets": (
        lambda: mp.Settings(n_items=10, n_train_images=4),
        "`n_train_images` must give each of the 9 other items .* non-target image; got 4, needs 5",
    ),
    "an item that is not there": (
        lambda: mp.draw_presentation(items(), 3, epochs=1, rng=RNG),
        r"`item` must lie in 0\.\.2; got 3",
    ),
    "unknown non-targets": (
        lambda: mp.draw_presentation(items(), 0, epochs=1, non_target="false", rng=RNG),
        "`non_target` must be one of permuted, none, true; got 'false'",
    ),
    "no epochs": (
        lambda: mp.draw_presentation(items(), 0, epochs=0, rng=RNG),
        "`epochs` must be a whole number, at least 1; got 0",
    ),
    # settings of experiments
    "both steepness and kappa": (
        lambda: mp.Settings(steepness=1.0, kappa=7.5),
        "give either `steepness` or `kappa`, the other None; got 1.* and 7.5",
    ),
    "kappa 0": (
        lambda: mp.Settings(kappa=0.0),
        "`kappa` must be a finite number above 0; got 0.0",
    ),
    "no networks": (
        lambda: mp.Settings(networks=()),
        "`networks` must name at least one; got none",
    ),
    "a network twice": (
        lambda: mp.Settings(networks=("hybrid", "hybrid")),
        "`networks` must name each only once; got 'hybrid' and 'hybrid'",
    ),
    "a flexibility twice": (
        lambda: mp.Settings(networks=("homogeneous:0.5", "hybrid", "homogeneous:.50")),
        "`networks` must name each only once; got 'homogeneous:0.5' and 'homogeneous:.50'",
    ),
    "a negative seed": (
        lambda: mp.Settings(seed=-1),
        "`seed` must be a whole number, at least 0; got -1",
    ),
    "two items in an experiment": (
        lambda: mp.Settings(n_items=2),
        r"`n_items` must be at least 3: a wrong label .* with `non_target` none or true\); got 2",
    ),
    "more items than anyone lists": (
        lambda: mp.Settings(n_items=10_001),
        "`n_items` must be at most 10000; got 10001",
    ),
    "a whole number too large for a float": (
        lambda: mp.Settings(learning_rate=10**400),
        r"`learning_rate` must be a finite number above 0; got 10{199}\.\.\.$",
    ),
    "a hidden layer of no units": (
        lambda: mp.Settings(hidden=(4, 0)),
        "`hidden` must be a whole number, at least 1; got 0",
    ),
    "a true and a false job": (
        lambda: mp.open_pool(True).__enter__(),
        "`jobs` must be a whole number, at least 1; got True",
    ),
    "a name for a sequence of networks": (
        lambda: mp.Settings(networks="hybrid"),
        "`networks` must be a sequence of names; got 'hybrid'",
    ),
    "a number for hidden layers": (
        lambda: mp.Settings(hidden=256),
        "`hidden` must list whole numbers; got 256",
    ),
    "one item without non-targets": (
        lambda: mp.Settings(n_items=1, non_target="none"),
        "`n_items` must be a whole number, at least 2; got 1",
    ),
    "a steepness that float32 cannot hold": (
        lambda: mp.Settings(steepness=1e39),
        r"`steepness` must be finite and above 0 in float32; got 1e\+39",
    ),
    "a learning rate that float32 cannot hold": (
        lambda: mp.Settings(learning_rate=1e-46),
        "`learning_rate` must be finite and above 0 in float32; got 1e-46",
    ),
    "a steepness for a list of one": (
        lambda: mp.experiments.measure_default_steepness(1),
        "`n_items` must be a whole number, at least 2; got 1",
    ),
    "a dataset's name for a dataset": (
        lambda: mp.run_experiment("digits", mp.Settings()),
        "`dataset` must be a Dataset, as load_dataset makes; got str",
    ),
    "a dataset's name to draw from": (
        lambda: mp.draw_items("digits", n_items=3, n_train_images=2, n_test_images=2, rng=RNG),
        "`dataset` must be a Dataset, as load_dataset makes; got str",
    ),
    "a dataset's name to begin with": (
        lambda: mp.experiments.init_settings("digits"),
        "`dataset` must be a Dataset, as load_dataset makes; got str",
    ),
    "a mapping for settings": (
        lambda: mp.run_experiment(dataset(), {}),
        "`settings` must be Settings, as init_settings makes; got dict",
    ),
    "a mapping for settings to learn by": (
        lambda: mp.learn_item(
            make_world(0).network, mp.Learner(), make_world(0).presentations[0], settings={}
        ),
        "`settings` must be LearningSettings; got dict",
    ),
    "a mapping for settings to balance": (
        lambda: mp.balance_steepness(dataset(), {}),
        "`settings` must be Settings, as init_settings makes; got dict",
    ),
    "a number for an executor": (
        lambda: mp.run_experiment(mp.load_digits(), mp.Settings(), executor=2),
        r"`executor` must be an executor, as open_pool\(2\) gives; got int",
    ),
    "images that are all black": (
        lambda: mp.run_experiment(dataset(), FEW),
        "`train_images` must show more than one picture: nothing .*; got 6 that are all the same",
    ),
    "test images that are all the same": (
        lambda: mp.run_experiment(dataset(train_images=with_pixel(1.0)), FEW),
        "`test_images` must show more than one picture: nothing .*; got 3 that are all the same",
    ),
    "a class with too few images to begin with": (
        lambda: mp.experiments.init_settings(dataset(), n_items=6),
        "class '0' must have at least 3 training images for a list of this length; got 2: add some",
    ),
    "a class with one test image to begin with": (
        lambda: mp.experiments.init_settings(dataset(), n_items=3),
        "class '0' must have at least 3 test images for a list of this length; got 1: add some",
    ),
    "a class with too few images": (
        lambda: mp.run_experiment(dataset(), mp.Settings(n_items=3, n_train_images=3)),
        "`n_train_images` must be at most 2, the images class '0' has; got 3",
    ),
    "images that overflow": (
        lambda: mp.run_experiment(
            dataset(train_images=1e38 + with_pixel(1e37), test_images=PIXELS),
            FEW,
        ),
        r"`train_images` must be finite; got inf at \(0, 0, 0\)",
    ),
    # switches: a word is true, whatever it says
    "a word for biases of their own": (
        lambda: mp.Settings(modulate_biases="no"),
        "`modulate_biases` must be True or False; got 'no'",
    ),
    "a number for biases of their own": (
        lambda: mp.init_metaplasticity(
            make_world(0).network, "hybrid", steepness=1.0, rng=RNG, modulate_biases=0
        ),
        "`modulate_biases` must be True or False; got 0",
    ),
    "a word for which synapses moved": (
        lambda: mp.Settings(by_flexibility="off"),
        "`by_flexibility` must be True or False; got 'off'",
    ),
    "a word for the items of every epoch": (
        lambda: mp.Settings(by_epoch="no"),
        "`by_epoch` must list whole numbers; got 'no'",
    ),
    "a word for paired images": (
        lambda: dataset(paired="no"),
        "`paired` must be True or False; got 'no'",
    ),
    "nothing for the gradient of inputs": (
        lambda: mp.nn.dense_backward(np.ones((1, 2)), (np.ones((1, 2)), np.eye(2)), with_inputs=[]),
        r"`with_inputs` must be True or False; got \[\]",
    ),
    "a word for a second curve": (
        lambda: mp.make_figure(
            Picture(
                title="",
                caption="",
                rows=[[Panel(title="", xlabel="", ylabel="", series=[second_curve("no")])]],
            )
        ),
        "`is_second` must be True or False; got 'no'",
    ),
    # slips of the keyboard
    "a hidden layer of 10^30 units": (
        lambda: mp.Settings(hidden=(10**30,)),
        "`hidden` must be at most 1000000000; got 10{30}$",
    ),
    "10^30 frozen features": (
        lambda: mp.Settings(n_features=10**30),
        "`n_features` must be at most 1000000000; got 10{30}$",
    ),
    "ten million trials": (
        lambda: mp.Settings(trials=10**7),
        "`trials` must be at most 1000000; got 10000000",
    ),
    # measures
    "confusion of shares": (
        lambda: mp.measure_recall([[0.5, 0.5], [0.5, 0.5]]),
        "`confusion` must hold whole numbers; got float64",
    ),
    "confusion that is not square": (
        lambda: mp.measure_recall([[1, 2, 3], [1, 2, 3]]),
        r"`confusion` must have shape \(..., groups, items\), a group per item; got \(2, 3\)",
    ),
    "confusion of unequal tests": (
        lambda: mp.measure_recall([[1, 2], [1, 1]]),
        "`confusion` must count every item's test images, equally many an item",
    ),
    "recall of a flat list": (
        lambda: mp.metrics.measure_forgetting([0.5, 0.5]),
        r"`recall` must have at least 2 axes, items last; got \(2,\)",
    ),
    "recall above 1": (
        lambda: mp.metrics.measure_primacy([0.5, 1.5, 0.5]),
        r"`curve` must lie in \[0, 1\]; got 1.5 at \(1\)",
    ),
    "primacy of two items": (
        lambda: mp.metrics.measure_primacy([0.5, 0.5]),
        "`items of the curve` must be a whole number, at least 3; got 2",
    ),
    "gross memory of a short sequence": (
        lambda: mp.metrics.measure_gross_memory(np.zeros((3, 2)), [0]),
        r"`sequence` must have shape \(2,\)",
    ),
    "an impossible level": (
        lambda: mp.metrics.measure_memorized([[1, 0], [0, 1]], level=0.0),
        "`level` must be a number between 0 and 1; got 0.0",
    ),
}


def test_numbers_and_switches_of_numpy_are_taken_as_pythons():
    plain = {
        "n_items": 5,
        "trials": 2,
        "seed": 3,
        "n_train_images": 40,
        "n_test_images": 10,
        "n_features": 0,
        "input_scale": 0.5,
        "hidden": (4, 8),
        "learning_rate": 0.25,
        "batch_size": 32,
        "epochs": 2,
        "kappa": 8.0,
        "modulate_biases": True,
        "by_flexibility": False,
        "by_epoch": True,
    }
    of_numpy = {name: np.array(value)[()] for name, value in plain.items()}
    assert type(of_numpy["by_epoch"]) is np.bool_
    settings = mp.Settings(**of_numpy)
    assert settings == mp.Settings(**plain)
    assert json.dumps(asdict(settings)) == json.dumps(asdict(mp.Settings(**plain)))
    assert dataset(paired=np.bool_(True)).paired is True


@pytest.mark.parametrize("case", CASES)
def test_bad_input_gets_one_clear_line(case):
    call, message = CASES[case]
    with pytest.raises(mp.InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert "{" not in str(caught.value)  # no unfilled braces


def test_parameters_that_are_not_finite_are_refused():
    world = make_world(0)
    world.network.parameters[3] = np.nan
    with pytest.raises(mp.InputError, match=r"`parameters` must be finite; got nan at \(3\)"):
        mp.learn_item(
            world.network, world.metaplasticity, world.presentations[0], settings=world.settings
        )


def test_finite_images_with_answers_that_are_not_finite_are_divergence():
    network = make_world(0).network
    network.parameters[:] = 1e200
    message = "the network's answers are not finite. Learning diverged: try a smaller learning rate"
    with pytest.raises(mp.DivergenceError, match=message):
        mp.predict(network, np.full((1, 6), 1e200))


def test_a_step_too_large_for_the_dtype_is_divergence():
    world = make_world(0)
    shown = world.presentations[0]
    shown = replace(shown, images=1000 * shown.images, order=shown.order[:1], number=0)
    settings = mp.LearningSettings(learning_rate=1e308)
    with pytest.raises(mp.DivergenceError, match="the weights are not finite after presentation 1"):
        mp.learn_item(world.network, mp.Learner(), shown, settings=settings, backend="numpy")


def test_a_file_that_makes_no_metaplasticity_is_named(tmp_path):
    arrays = {name: np.ones(3) for name in ("initial_weights", "flexibility", "steepness")}
    write_arrays(tmp_path / "m.npz", arrays, header={"kind": "metaplasticity", "schema": 1})
    with pytest.raises(mp.InputError, match=r"m\.npz: it makes no metaplasticity \("):
        mp.rules.load_metaplasticity(tmp_path / "m.npz")


@pytest.mark.parametrize("name", ["rows/9/confusion", "kept/2/parameters", "rows/x/confusion"])
def test_a_file_that_holds_no_state_of_a_trial_is_named(name, tmp_path):
    run = describe_run(mp.load_digits(), mp.Settings(networks=("hybrid",)))
    identity = describe_trial(run, 0)
    arrays = dict.fromkeys(("state/0/parameters", "rows/0/confusion", name), np.ones(3))
    write_arrays(
        tmp_path / "t.npz", arrays, header={**identity, "done": 1, "rms": 1.0, "arrays": []}
    )
    with pytest.raises(mp.InputError, match=r"t\.npz: it holds no state of a trial \("):
        read_progress(tmp_path / "t.npz", identity, ["confusion"])


def test_an_input_error_is_a_value_error():
    assert issubclass(mp.InputError, ValueError)


def test_bad_input_moves_no_weight():
    world = make_world(0)
    before = world.network.parameters.tobytes()
    shown = world.presentations[0]
    wrong = mp.scenarios.Presentation(images=shown.images, labels=np.full(9, 7), order=shown.order)
    with pytest.raises(mp.InputError):
        mp.learn_item(world.network, world.metaplasticity, wrong, settings=world.settings)
    assert world.network.parameters.tobytes() == before


def test_the_environment_chooses_the_backend(monkeypatch):
    from metaplastic_np._util.checks import check_backend

    monkeypatch.setenv("METAPLASTIC_NP_BACKEND", "numpy")
    assert check_backend("auto") == "numpy"
    monkeypatch.setenv("METAPLASTIC_NP_BACKEND", "fortran")
    with pytest.raises(mp.InputError, match="`METAPLASTIC_NP_BACKEND` must be one of"):
        check_backend("auto")


def test_without_numba_auto_takes_numpy_and_numba_is_refused(monkeypatch):
    import sys

    from metaplastic_np._util.checks import check_backend

    monkeypatch.setitem(sys.modules, "numba", None)
    assert check_backend("auto") == "numpy"
    message = (
        r"`backend` is 'numba', but Numba cannot be imported \(.*\); install numba, or use backend"
    )
    with pytest.raises(mp.InputError, match=message):
        check_backend("numba")

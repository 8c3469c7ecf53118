"""Where images come from: MNIST, files of your own, and names on the command line.

MNIST, 70,000 handwritten digits, does not come with the package. Its four files are looked for in a
folder of your choice, else in that of the environment variable METAPLASTIC_NP_DATA (or its
subfolder ``mnist``), else in this user's cache, where :func:`fetch_mnist` puts them; in each also
where torchvision puts them, in ``MNIST/raw``. Other sets have files of the same names: MNIST is
what the SHA-256 of its arrays says, packed or not. Nothing in a file is unpickled.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .._util import checks, errors
from .._util.storage import read_arrays
from .datasets import MOST_NAMES, Dataset, load_digits
from .idx import NAME, find_idx, read_idx

__all__ = [
    "DATASETS",
    "check_sources",
    "fetch_mnist",
    "load_dataset",
    "load_folder",
    "load_mnist",
    "load_npz",
]

MNIST = {  # SHA-256 of each file as it is fetched, packed
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
ARRAYS = {  # SHA-256 of what is in them, by what a dataset calls it
    "train_images": "1cc0a405f2f18e468d5859d83f1084f6cf670d30cb411bcdc2134590e14c1527",
    "train_labels": "f9e8e505cad86dc4d1a6542b21acf4b7572a7d6467b026956af8fe12dd76803f",
    "test_images": "654b52d6a20bc3293c771140f65d0cf8c51beaca31197885445dfcaabf74a017",
    "test_labels": "5a95cd2a7c09b3306f90080c73f6b8f0da3a15b26cc396a95dad565624cf6962",
}
KERAS = ("x_train", "y_train", "x_test", "y_test")  # the same as Keras calls them
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
TIMEOUT = 30  # seconds without an answer


# --- MNIST ---------------------------------------------------------------------------


def load_mnist(folder: Path | str | None = None) -> Dataset:
    """Load the 60,000 + 10,000 handwritten 28x28 digits of MNIST, to be shown in pairs.

    Source: LeCun, Bottou, Bengio and Haffner (1998), doi:10.1109/5.726791.

    Parameters
    ----------
    folder : path, optional
        Holds the four files, as fetched (``train-images-idx3-ubyte.gz``, ...) or unpacked.
        Default: METAPLASTIC_NP_DATA or its subfolder ``mnist``, else this user's cache.

    Returns
    -------
    Dataset
        45 items, the pairs 0-1, 0-2, ..., 8-9; uint8 images, 55 MB.

    Raises
    ------
    InputError
        If a file is missing, damaged or not MNIST's.

    Examples
    --------
    Once its files are there (see :func:`fetch_mnist`)::

        results = run_experiment(load_mnist(), Settings())
    """
    places = _places(folder)
    place, found = _find_mnist(places)
    arrays: dict[str, Any] = {}
    for (part, digest), name in zip(ARRAYS.items(), MNIST, strict=True):
        if part not in found:
            raise errors.InputError(
                f"cannot find MNIST's {name}.gz in {' or '.join(map(str, places))}: run "
                "`metaplastic-np data fetch mnist`, or set METAPLASTIC_NP_DATA to a folder with "
                "the four files"
            )
        arrays[part] = read_idx(found[part])
        if _measure_digest(arrays[part]) != digest:
            errors.raise_unreadable_file(
                found[part],
                "it is not MNIST's, by the SHA-256 of its numbers: fetch MNIST again, or open "
                f"another set by its folder, `--dataset {place}`",
            )
    return Dataset(name="mnist", **arrays, paired=True, reload=(load_mnist, (str(place),)))


def _measure_digest(array: NDArray[Any]) -> str:
    digest = sha256(f"{array.dtype} {array.shape}".encode())
    digest.update(array.data)
    return digest.hexdigest()


def fetch_mnist(
    folder: Path | str | None = None,
    *,
    mirrors: Sequence[str] = MIRRORS,
    on_file: Callable[[Path], object] | None = None,
) -> list[Path]:
    """Fetch the four files of MNIST, 12 MB; those that are there and right are kept.

    Parameters
    ----------
    folder : path, optional
        Made if need be. Default: where :func:`load_mnist` looks.
    mirrors : sequence of str
        Where the files are, tried in turn. Their SHA-256 is checked.
    on_file : callable, optional
        Called with the path of each file once it is there.

    Returns
    -------
    list of pathlib.Path
        The four files.

    Raises
    ------
    InputError
        If pooch is not installed.
    OutputError
        If no mirror gives a file, the folder cannot be written to, or it holds another set under
        MNIST's names. No part of a file is left.

    Examples
    --------
    With a network, and ``pip install "metaplastic-np[mnist]"``::

        fetch_mnist()
        dataset = load_mnist()
    """
    place, _ = _find_mnist(_places(folder))
    paths = [place / f"{name}.gz" for name in MNIST]
    for path, digest, of_array in zip(paths, MNIST.values(), ARRAYS.values(), strict=True):
        if not _is_there(path, of_array):
            _fetch(path, digest, mirrors)
        if on_file is not None:
            on_file(path)
    return paths


def _is_there(path: Path, digest: str) -> bool:
    """Whether a file is MNIST's; one that can be read and is not is somebody's, and stays."""
    try:
        is_right = _measure_digest(read_idx(path)) == digest
    except errors.InputError:  # missing, or damaged
        return False
    if not is_right:
        raise errors.OutputError(
            f"{path} is of another set: fetch MNIST to another folder (METAPLASTIC_NP_DATA)"
        )
    return True


def _fetch(path: Path, digest: str, mirrors: Sequence[str]) -> None:
    """Fetch a file from the first mirror that has it."""
    try:
        import pooch
        import requests  # which pooch brings
    except ImportError as error:
        errors.raise_missing_extra("mnist", error)

    def share(file: str, action: str, _: object) -> str:
        if action != "fetch":
            path.chmod(0o644)  # pooch lets only its owner read it, not the class it is for
        return file

    download, failures = pooch.HTTPDownloader(timeout=TIMEOUT), []
    logger, level = pooch.get_logger(), pooch.get_logger().level
    logger.setLevel("ERROR")  # its news would stand among the program's lines
    try:
        for mirror in mirrors:
            url, known = mirror + path.name, f"sha256:{digest}"
            try:
                pooch.retrieve(url, known, path.name, path.parent, share, download)
                return
            except requests.RequestException as error:
                status = getattr(error.response, "status_code", type(error).__name__)
                failures.append(f"{mirror}: {status}")
            except ValueError:
                failures.append(f"{mirror}: not the file of this SHA-256")
            except OSError as error:
                errors.raise_unwritable(path.parent, error)
    finally:
        logger.setLevel(level)
    raise errors.OutputError(
        f"cannot fetch {path.name} ({'; '.join(failures)}): no network? copy the four files into "
        f"{path.parent}, or set METAPLASTIC_NP_DATA to a folder with them"
    )


def _places(folder: Path | str | None) -> list[Path]:
    """The folders in which MNIST may be; the last one is where it is fetched to."""
    if folder is not None:
        return [checks.check_path("folder", folder).absolute()]
    if data := os.environ.get("METAPLASTIC_NP_DATA"):
        return [Path(data).absolute(), Path(data).absolute() / "mnist"]
    # Where programs keep what they can fetch again.
    variable, custom = {
        "win32": ("LOCALAPPDATA", "AppData/Local"),
        "darwin": ("", "Library/Caches"),
    }.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    try:
        cache = Path(os.environ.get(variable) or Path.home() / custom)
    except RuntimeError:
        raise errors.InputError(
            "there is no home folder to keep data in: set METAPLASTIC_NP_DATA to a folder"
        ) from None
    return [cache.absolute() / "metaplastic_np" / "mnist"]


def _find_mnist(places: Sequence[Path]) -> tuple[Path, dict[str, Path]]:
    """The first place with a file by one of MNIST's names, else the last; and such files there."""
    for place in places:
        if found := find_idx(place).get(""):
            return place, found
    return places[-1], {}


# --- your own, and names -------------------------------------------------------------


def load_npz(path: Path | str) -> Dataset:
    """Load your own images from an npz file; its classes are the items.

    Parameters
    ----------
    path : path
        Holds `train_images`, `train_labels`, `test_images` and `test_labels`, or `x_train`,
        `y_train`, `x_test` and `y_test` as Keras calls them, in small letters or not, as
        :class:`Dataset` takes them; what else it holds is read past.

    Returns
    -------
    Dataset
        Unpaired, with the file's name.

    Raises
    ------
    InputError
        If the file is missing or damaged, holds pickled objects or more than 8 GB, lacks an array,
        or its arrays make no :class:`Dataset`.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "shapes.npz")
    >>> images, labels = np.random.default_rng(0).random((6, 8)), np.array([0, 1, 2, 0, 1, 2])
    >>> np.savez(path, train_images=images, train_labels=labels,
    ...          test_images=images, test_labels=labels)
    >>> shapes = load_npz(path)
    >>> shapes.name, len(shapes.item_classes)
    ('shapes', 3)
    >>> folder.cleanup()
    """
    path = checks.check_path("path", path).absolute()
    arrays, _ = read_arrays(path)
    by_name = {name.lower(): array for name, array in arrays.items()}
    pairs = list(zip(ARRAYS, KERAS, strict=True))
    own: dict[str, Any] = {part: by_name.get(part, by_name.get(keras)) for part, keras in pairs}
    if missing := [f"{part} ({keras})" for part, keras in pairs if own[part] is None]:
        there = ", ".join(ascii(name)[1:-1] for name in list(arrays)[:MOST_NAMES]) or "nothing"
        errors.raise_unreadable_file(path, f"it lacks {', '.join(missing)}; it holds {there}")
    return _make_own(path, path.stem, own, (load_npz, (str(path),)))


def load_folder(folder: Path | str) -> Dataset:
    """Load your own images from the four IDX files in a folder; its classes are the items.

    Fashion-MNIST, KMNIST, EMNIST and others come as such files. If they are MNIST's, it is MNIST.

    Parameters
    ----------
    folder : path
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
        (or ``test-...``) and ``t10k-labels-idx1-ubyte``, packed by gzip or not, with a name of the
        set's own in front or not; or has a subfolder ``raw`` with them.

    Returns
    -------
    Dataset
        Unpaired, with the folder's name.

    Raises
    ------
    InputError
        If files are missing or damaged, there is more than one set, or they make no
        :class:`Dataset`.

    Examples
    --------
    ::

        fashion = load_folder("/usr/share/dataset-fashion-mnist")
    """
    folder = checks.check_path("folder", folder).absolute()
    sets = find_idx(folder)
    if len(sets) > 1:
        names = ", ".join(name or "no name" for name in sets)
        errors.raise_unreadable_file(
            folder, f"it holds several sets of IDX files ({names}): give one a folder of its own"
        )
    found = next(iter(sets.values()), {})
    if missing := [name for part, name in zip(ARRAYS, MNIST, strict=True) if part not in found]:
        errors.raise_unreadable_file(
            folder, f"it lacks IDX files like {', '.join(missing)}: other images go in an npz file"
        )
    own = {part: read_idx(found[part]) for part in ARRAYS}
    if "" in sets and all(_measure_digest(own[part]) == ARRAYS[part] for part in ARRAYS):
        return load_mnist(folder)
    name = folder.parent.name if folder.name == "raw" else folder.name
    return _make_own(folder, name, own, (load_folder, (str(folder),)))


def _make_own(
    path: Path, name: str, arrays: dict[str, Any], reload: tuple[Callable[..., Dataset], Any]
) -> Dataset:
    """A dataset of what a file or folder holds; a refusal says which one."""
    try:
        return Dataset(name=name, **arrays, reload=reload)
    except errors.InputError as error:
        errors.raise_unreadable_file(path, str(error))


DATASETS: dict[str, Callable[[], Dataset]] = {"digits": load_digits, "mnist": load_mnist}


def load_dataset(name: str) -> Dataset:
    """Load a dataset by what it is called on the command line.

    Parameters
    ----------
    name : str
        One of ``DATASETS`` ("digits", "mnist"), or the path of a file that ends in ``.npz``, or of
        a folder with IDX files or one of them.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If there is no such dataset, or its files cannot be read.

    Examples
    --------
    >>> load_dataset("digits").name
    'digits'
    """
    if name in list(DATASETS):
        return DATASETS[name]()
    path = Path(str(name))
    if path.suffix.lower() == ".npz":
        return load_npz(path)
    folder = path.parent if NAME.fullmatch(path.name.lower()) else path
    try:
        is_folder = folder.is_dir()
    except OSError:  # too long for a path
        is_folder = False
    if not is_folder:
        known = ", ".join(DATASETS)
        expected = f"be {known} or the path of an npz file or of a folder with IDX files"
        checks.raise_expected("dataset", expected, repr(name))
    return load_folder(folder)


def check_sources() -> list[tuple[str, str, str]]:
    """Tell of every dataset that has a name where it is, and whether all of it can be read.

    Returns
    -------
    list of (name, status, where)
        Status is "bundled", "ready", "missing", or "damaged: " and why.

    Raises
    ------
    InputError
        If there is no folder to look in.

    Examples
    --------
    >>> check_sources()[0]
    ('digits', 'bundled', 'in the package')
    """
    place, found = _find_mnist(_places(None))
    status = "ready" if len(found) == len(ARRAYS) else "missing"
    if status == "ready":
        try:
            load_mnist(place)
        except errors.InputError as error:
            status = f"damaged: {error}"
    return [("digits", "bundled", "in the package"), ("mnist", status, str(place))]

"""What users install: the built package in a bare environment, and the lowest versions.

Run: python tests/audit/supply.py [wheel | lowest] [--json FILE]. Each works in new environments in
a temporary folder:

* wheel: an sdist, and from it a wheel; the wheel alone is installed, and used in an empty folder;
* lowest: the suite with the lowest version of every dependency that pyproject.toml allows. With
  the newest, the README's test command runs it.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
USE = """
import metaplastic_np as mp
assert "site-packages" in mp.__file__, mp.__file__
settings = mp.Settings(n_items=3, trials=2, n_train_images=60, n_features=32, hidden=(16,))
print(mp.run_experiment(mp.load_digits(), settings).recall.shape)
"""


def run(*command: object, cwd: Path) -> str:
    """Run a command in a folder; its output, or an end with it."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if ended.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {ended.returncode}:\n{ended.stdout}")
    return ended.stdout


def make_environment(folder: Path, *packages: object) -> Path:
    """A new environment with some packages; its Python."""
    run(sys.executable, "-m", "venv", folder, cwd=ROOT)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", *packages, cwd=ROOT)
    return python


def copy_sources(folder: Path) -> Path:
    """What is committed or about to be, without what lies about."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def check_wheel(folder: Path) -> dict[str, object]:
    """Build, compare with the sources, install nothing else, and use it from an empty folder."""
    sources, built, empty = (folder / name for name in ("sources", "built", "empty"))
    empty.mkdir()
    copy_sources(sources)
    builder = make_environment(folder / "builder", "build")
    run(builder, "-m", "build", "--outdir", built, sources, cwd=folder)
    (sdist,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")

    package = {
        path.relative_to(sources).as_posix(): path.read_bytes()
        for path in (sources / "metaplastic_np").rglob("*")
        if path.is_file()
    }
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name: archive.read(name) for name in archive.namelist()}
    shipped = {name: data for name, data in shipped.items() if ".dist-info/" not in name}
    assert shipped == package, sorted(set(shipped) ^ set(package))

    python = make_environment(folder / "bare", wheel)
    print(run(python, "-c", USE, cwd=empty).strip())
    run(python, "-m", "pip", "check", cwd=empty)
    command = python.with_name("metaplastic-np")
    run(command, "run", "serial-position", "--items", "3", "--trials", "1", cwd=empty)
    made = sorted(path.name for path in (empty / "results").glob("*.*"))
    assert "serial-position.png" in made, made
    with tarfile.open(sdist) as archive:
        in_sdist = len(archive.getnames())
    return {"wheel": wheel.name, "files": len(shipped), "files_of_the_sdist": in_sdist}


def read_lowest() -> list[str]:
    """The lowest version of each direct dependency, as constraints."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    lowest = [re.match(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", line) for line in wanted]
    return sorted({f"{match[1]}=={match[2]}" for match in lowest})


def check_lowest(folder: Path) -> dict[str, object]:
    """Run the suite in an environment of its own."""
    sources, constraints = copy_sources(folder / "sources"), read_lowest()
    (folder / "constraints.txt").write_text("\n".join(constraints))
    python = make_environment(
        folder / "environment", "--constraint", folder / "constraints.txt", "-e", f"{sources}[test]"
    )
    listed = json.loads(run(python, "-m", "pip", "list", "--format", "json", cwd=folder))
    versions = {each["name"].lower().replace("_", "-"): each["version"] for each in listed}
    last = run(python, "-m", "pytest", "-q", cwd=sources).splitlines()[-1]
    names = [pin.split("==")[0] for pin in constraints]
    return {"suite": last, "versions": {name: versions[name] for name in names}}


def main() -> None:
    """Check what is named, or all."""
    checks = {"wheel": check_wheel, "lowest": check_lowest}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"of {', '.join(checks)}")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {}
    for name in given.checks or checks:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = checks[name](Path(folder))
        print(f"{name}: {found[name]}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

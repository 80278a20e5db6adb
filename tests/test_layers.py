"""Imports point one way, importing recgym stays light, and the wheel holds what it should."""

from __future__ import annotations

import ast
import configparser
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"recgym": ROOT / "recgym", "recgym_agents": ROOT / "agents" / "recgym_agents"}
SCRIPTS = {path.stem for path in (ROOT / "scripts").glob("*.py")}
FORBIDDEN = {
    "recgym": {"recgym_agents", "scripts"} | SCRIPTS,
    "recgym_agents": {"scripts"} | SCRIPTS,
}
SOURCES = [
    (name, path) for name, folder in PACKAGES.items() for path in sorted(folder.rglob("*.py"))
]


def imported_modules(source: str) -> Iterator[str]:
    """Yields the absolute name of everything that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from [node.module] if "." in node.module else inside


@pytest.mark.parametrize(
    ("package", "path"), SOURCES, ids=[str(path.relative_to(ROOT)) for _, path in SOURCES]
)
def test_module_has_a_docstring_and_imports_only_what_lies_below_it(
    package: str, path: Path
) -> None:
    source = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source)), f"{path}: no module docstring"
    tops = {module.partition(".")[0] for module in imported_modules(source)}
    assert not tops & FORBIDDEN[package]


WINGS = {
    "recgym": (
        ("errors",),
        ("arrays", "extras", "files", "locks", "lookup", "settings"),
        (
            *("metrics", "ope", "palette", "ranking_metrics", "rating_imputation", "spaces"),
            "whole_folders",
        ),
        ("lettering",),
        ("frames", "rendering"),
        ("data",),
        ("labels", "users"),
        ("simulators",),
        ("envs", "planning", "registry"),
        ("collection", "recording"),
        ("environment_docs",),
    ),
    "recgym_agents": (
        (
            *("checkpointing", "choice_losses", "losses", "offline_losses", "policy_losses"),
            "user_support",
        ),
        ("agent",),
        ("protocols",),
        ("learning",),
        ("networks",),
        ("algorithms",),
        ("zoo",),
        ("runs",),
        ("agent_docs",),
        ("experiments",),
        ("commands",),
        ("command_docs",),
    ),
}
"""The wings of each package, from the ground up: each imports what stands below it, and itself.

It is the walk of a click: ``data`` reads it, ``users`` learn from it, ``simulators`` answer as they
do, ``envs`` show that, ``learning`` feeds it to ``algorithms``, ``runs`` keep what comes of it,
``experiments`` judge that, and ``commands`` start it all. No module takes a step back up.
"""
HEIGHT = {
    (package, wing): height
    for package, floors in WINGS.items()
    for height, wings in enumerate(floors)
    for wing in wings
}
TOGETHER = {"frames", "rendering"}
"""Two modules that import each other's names: a scene as text, and the same as an image."""


@pytest.mark.parametrize(
    ("package", "path"), SOURCES, ids=[str(path.relative_to(ROOT)) for _, path in SOURCES]
)
def test_wing_imports_only_itself_and_what_stands_below_it(package: str, path: Path) -> None:
    own, *_ = path.relative_to(PACKAGES[package]).with_suffix("").parts
    if own == "__init__":
        return
    for module in imported_modules(path.read_text(encoding="utf-8")):
        top, _, rest = module.partition(".")
        wing = rest.partition(".")[0]
        if top != package or wing == own or {wing, own} == TOGETHER:
            continue
        assert wing, f"{path}: imports the whole package"
        assert HEIGHT[top, wing] < HEIGHT[package, own], f"{path}: imports {module}, above it"


def test_every_wing_is_there() -> None:
    for package, folder in PACKAGES.items():
        found = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
        listed = {wing for name, wing in HEIGHT if name == package}
        assert found - {"__init__", "__pycache__", "py"} == listed


def modules_read(path: Path) -> set[Path]:
    """The modules of ``recgym_agents`` that one imports when it is imported, itself included."""
    found, ahead = set(), [path]
    while ahead:
        found.add(ahead.pop())
        for current in list(found):
            for node in ast.parse(current.read_text(encoding="utf-8")).body:
                module = node.module if isinstance(node, ast.ImportFrom) else None
                if module and module.startswith("recgym_agents."):
                    parts = module.split(".")[1:]
                    file = PACKAGES["recgym_agents"].joinpath(*parts).with_suffix(".py")
                    if file not in found:
                        ahead.append(file)
    return found


def test_cascading_dqn_is_read_in_six_files_and_1000_lines() -> None:
    read = modules_read(PACKAGES["recgym_agents"] / "algorithms" / "cascading_dqn.py")
    assert {path.stem for path in read} == {
        *("agent", "checkpointing", "losses", "encoders", "slate_heads", "cascading_dqn")
    }
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in read) <= 1_000


def test_no_two_modules_of_one_name() -> None:
    names = [path.stem for _, path in SOURCES if path.stem != "__init__"]
    assert {name for name in names if names.count(name) > 1} == set()


def modules_after(statement: str) -> set[str]:
    """Returns the names in ``sys.modules`` of a fresh interpreter that ran ``statement``."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {statement}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    return set(run.stdout.split())


def test_importing_recgym_imports_only_what_the_core_requires() -> None:
    heavy = {"torch", "polars", "matplotlib", "rich", "tyro", "stable_baselines3", "tensorboard"}
    modules = modules_after("import recgym")
    assert "recgym" in modules
    assert not modules & heavy


def test_every_package_is_listed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    found = {
        ".".join((name, *path.parent.relative_to(folder).parts))
        for name, folder in PACKAGES.items()
        for path in folder.rglob("__init__.py")
    }
    assert set(setup["options"]["packages"].split()) == found


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The paths inside the wheel, built offline from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
    for name in ("recgym", "agents"):
        shutil.copytree(ROOT / name, source / name, ignore=skip)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(source)], check=True, capture_output=True, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_wheel_installs_exactly_two_top_level_names(wheel_names: list[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel_names if ".dist-info/" not in name}
    assert tops == {"recgym", "recgym_agents"}


def test_wheel_holds_every_module_the_types_and_the_shipped_models(wheel_names: list[str]) -> None:
    expected = {
        f"{name}/{path.relative_to(folder).as_posix()}"
        for name, folder in PACKAGES.items()
        for pattern in ("**/*.py", "py.typed", "users/shipped/*/*")
        for path in folder.glob(pattern)
    }
    assert expected <= set(wheel_names)
    shipped = {
        name.split("/")[3] for name in wheel_names if name.startswith("recgym/users/shipped/")
    }
    assert shipped == {"recgan", "recgan-lstm", "irecgan", "m3rec"}

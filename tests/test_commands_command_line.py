"""``recgym`` itself: the list of commands, wrong arguments, and what is not installed."""

from __future__ import annotations

import ast
import configparser
import importlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from recgym.errors import RecGymError
from recgym_agents.commands.command_line import COMMANDS, ONE_THREAD, main, run

MAIN = "from recgym_agents.commands.command_line import main; main()"
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""
OPTIONAL = {"torch", "tyro", "polars", "rich", "matplotlib", "tensorboard", "stable_baselines3"}


def recgym(
    repository: Path, program: str, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program with words on its command line, in an interpreter of its own."""
    without = {k: v for k, v in os.environ.items() if k not in ONE_THREAD}
    paths = os.pathsep.join(str(repository / folder) for folder in (".", "agents"))
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        check=False,
        env=without | {"PYTHONPATH": paths} | environment,
    )


def extras(repository: Path) -> dict[str, set[str]]:
    """The packages of each extra."""
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg", encoding="utf-8")
    return {
        name: {line.partition(">")[0] for line in text.split()}
        for name, text in setup["options.extras_require"].items()
    }


def test_help_lists_every_command_without_any_optional_package(repository: Path) -> None:
    done = recgym(repository, BLOCKED.format(names=OPTIONAL) + MAIN, "--help")
    assert done.returncode == 0
    for name, command in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert command.about in done.stdout


def test_every_module_of_the_wing_is_a_command_but_what_they_share(repository: Path) -> None:
    folder = repository / "agents" / "recgym_agents" / "commands"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert modules == {*COMMANDS, "command_line", "event_sources"}


def test_the_version_is_that_of_the_installation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["recgym", "--version"])
    main()
    assert capsys.readouterr().out == f"recgym {version('recgym')}\n"


@pytest.mark.parametrize("extra", sorted({command.extra for command in COMMANDS.values()}))
def test_an_extra_is_enough_for_its_commands(extra: str, repository: Path) -> None:
    names = [name for name, command in COMMANDS.items() if command.extra == extra]
    imports = "".join(f"import recgym_agents.commands.{name}\n" for name in names)
    blocked = BLOCKED.format(names=OPTIONAL - extras(repository)[extra])
    done = recgym(repository, blocked + imports + MAIN, names[0], "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: recgym {names[0]}")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_which_extra_it_needs(name: str, repository: Path) -> None:
    done = recgym(repository, BLOCKED.format(names=OPTIONAL) + MAIN, name, "--help")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: recgym {name}: needs ")
    assert line.endswith(f': pip install "recgym[{COMMANDS[name].extra}]"')


def test_the_package_says_which_extra_a_name_needs(repository: Path) -> None:
    program = """
import recgym_agents
try:
    recgym_agents.train
except ValueError as error:
    print(error)
"""
    done = recgym(repository, BLOCKED.format(names=OPTIONAL) + program)
    assert done.stdout.startswith("recgym_agents.train: needs ")
    assert done.stdout.endswith(': pip install "recgym[agents]"\n')


def test_every_name_of_the_package_is_there() -> None:
    package = importlib.import_module("recgym_agents")
    assert dir(package) == package.__all__
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Train'"):
        _ = package.Train
    typed = ast.parse(Path(str(package.__file__)).read_text("utf-8"))
    blocks = [node for node in typed.body if isinstance(node, ast.If)]  # under TYPE_CHECKING
    names = {alias.name for block in blocks for node in block.body for alias in node.names}
    assert names == set(package.__all__)


def test_a_command_uses_one_thread_unless_the_environment_says_otherwise(
    repository: Path,
) -> None:
    """Without torch: what NumPy and torch read is set before either is imported."""
    program = """
import sys
from recgym_agents.commands import command_line
assert not {"numpy", "torch"} & set(sys.modules)
command_line.COMMANDS["threads"] = command_line.Command("")
import types
module = types.ModuleType("threads")
def main():
    import os
    print(*(os.environ[name] for name in command_line.ONE_THREAD))
module.main = main
sys.modules["recgym_agents.commands.threads"] = module
command_line.main("threads")
"""
    assert recgym(repository, program).stdout == "1 1 1\n"
    assert recgym(repository, program, OMP_NUM_THREADS="3").stdout == "3 1 1\n"


def error_of(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Runs ``recgym``, which must fail, and returns its one line."""
    monkeypatch.setattr(sys, "argv", ["recgym", *words])
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "recgym trian: no such command; there are prepare, fit, train"),
        (["train"], "required options: Missing from recgym train: --agent STR --steps INT; For"),
        (["train", "--agent", "random", "--steps", "x"], "Error parsing --steps: invalid literal"),
        (
            ["train", "--agent", "random", "--steps", "1", "--stepz", "1"],
            "Unrecognized options: --s",
        ),
        (
            ["train", "--compile", "x"],
            "invalid choice: invalid choice 'x' for argument '--compile'",
        ),
        (["prepare", "movie"], "Available subcommands: "),
        (["evaluate"], "error: name the folder of an agent, or a user model with --realism"),
        (
            ["recommend", "nowhere", "1"],
            "nowhere: no trained agent here; make one with recgym train",
        ),
        (["reproduce", "table-9"], "experiment 'table-9': unknown; there are user-models"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = error_of(words, monkeypatch, capsys)
    assert line.startswith("error: ")
    assert message in line


def test_no_command_shows_the_list_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["recgym"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "usage: recgym COMMAND" in capsys.readouterr().err


def test_a_function_is_given_what_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, tuple[str, ...]]] = []

    def command(count: int, names: tuple[str, ...] = ()) -> None:
        given.append((count, names))

    monkeypatch.setattr(sys, "argv", ["recgym command", "--count", "3", "--names", "a", "b"])
    run(command)
    assert given == [(3, ("a", "b"))]


def test_what_is_missing_inside_is_not_said_to_be_an_extra(tmp_path: Path) -> None:
    from recgym.extras import extra

    with pytest.raises(RecGymError, match=r'x: needs nowhere: pip install "recgym\[data\]"'):  # noqa: SIM117
        with extra("data", "x"):
            importlib.import_module("nowhere.deeper")
    with pytest.raises(ModuleNotFoundError, match=r"recgym\.nowhere"), extra("data", "x"):
        importlib.import_module("recgym.nowhere")

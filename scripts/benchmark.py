"""Measures what RecGym promises about speed, with its peers stepped beside it in the same run.

Everything that is compared is run in alternate blocks, so that a drift of the machine falls on both
sides of a ratio. A function that is compiled a second time is an error here, not a slow number.
"""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from torch import Tensor

from command_line import run
from growth import growth
from measurement import Block, Figure, Section, alternate, machine, milliseconds, page, rate, ratio
from recgym.envs import SB3VecEnv
from recgym.errors import RecGymError
from recgym.files import atomic_write, write_json, write_text
from recgym_agents import scan
from recgym_agents.heads import CascadeHead, concatenated_greedy

RECGAN = "RecGAN-v0"
SLATE_MDP = "SlateMDP-v0"
SARDINE = "sardine/SlateTopK-Bored-v0"
RECSIM = {
    "InterestEvolution-v0": "interest_evolution",
    "InterestExploration-v0": "interest_exploration",
    "LongTermSatisfaction-v0": "long_term_satisfaction",
}
"""Environment id -> RecSim's module of the same world."""
RECSIM_SIZES = {(10, 3): 1.5, (100, 10): 5.0}
"""Candidates and slots -> how many times faster than RecSim one environment promises to be."""
RECSIM_BATCH = 100.0
"""How many times faster 1,024 rows promise to be."""
FEATURES, STATE, UNITS = 16, 64, 64
"""D, the length of an encoded history, and H of the scanned networks."""


def single_stepper(env: Any, slates: list[np.ndarray]) -> Callable[[], int]:
    """Returns a function that plays ``slates`` in one environment, of Gymnasium's API or Gym's."""
    env.reset()

    def step() -> int:
        for slate in slates:
            result = env.step(slate)
            if result[2] or result[3] is True:  # Gym's fourth value is its info
                env.reset()
        return len(slates)

    return step


def random_slates(n_items: int, size: int, count: int = 200) -> list[np.ndarray]:
    """Returns random slates of distinct items, drawn before the clock starts."""
    generator = np.random.default_rng(0)
    return [generator.permutation(n_items)[:size] for _ in range(count)]


def recgan_stepper() -> Callable[[], int]:
    """RecGAN-v0 with all of its defaults."""
    env: Any = gymnasium.make(RECGAN)
    simulator = env.unwrapped.simulator
    return single_stepper(env, random_slates(simulator.n_items, simulator.slate_size))


def sardine_stepper(slate_size: int) -> Callable[[], int]:
    """SARDINE's top-k slates of 1,000 items; unchecked, as ours is."""
    importlib.import_module("sardine")
    env = gymnasium.make(SARDINE, slate_size=slate_size, disable_env_checker=True)
    return single_stepper(env, random_slates(1000, slate_size))


def recsim_stepper(world: str, candidates: int, slate_size: int) -> Callable[[], int]:
    """One of RecSim's own environments."""
    module = importlib.import_module(f"recsim.environments.{world}")
    sizes = {"num_candidates": candidates, "slate_size": slate_size}
    env = module.create_environment(sizes | {"resample_documents": True, "seed": 0})
    return single_stepper(env, random_slates(candidates, slate_size))


PEERS: dict[str, tuple[Callable[[], Callable[[], int]], float | None]] = {
    "SARDINE SlateTopK (1,000 items, slate 5)": (partial(sardine_stepper, 5), 2.0),
    "SARDINE SlateTopK (1,000 items, slate 10)": (partial(sardine_stepper, 10), None),
    "RecSim interest evolution (10 candidates, slate 3)": (
        partial(recsim_stepper, "interest_evolution", 10, 3),
        None,
    ),
}
"""Name -> its stepper, and how many times faster we promise to be."""


def single(rounds: int) -> Section:
    """One environment through ``gymnasium.make``, beside the peers that are installed."""
    section = Section("One environment, stepped from Python")
    steppers = {RECGAN: recgan_stepper()}
    for name, (build, _) in PEERS.items():
        try:
            steppers[name] = build()
        except ImportError as error:
            section.notes.append(f"{name}: skipped, not installed ({error}).")
    measured = alternate({name: rate(step) for name, step in steppers.items()}, rounds)
    ours = measured.pop(RECGAN)
    for name, theirs in measured.items():
        figure = Figure(f"{RECGAN} over {name}", "x", ratio(ours, theirs), PEERS[name][1])
        section.figures.append(figure)
    section.figures.append(Figure(RECGAN, "steps/s", ours, at_least=20_000))
    section.figures += [Figure(name, "steps/s", theirs) for name, theirs in measured.items()]
    section.notes.append(f"{RECGAN}: {user_model_shape()}.")
    return section


def user_model_shape() -> str:
    """Returns the shape of the user model behind RecGAN-v0."""
    env: Any = gymnasium.make(RECGAN)
    config, simulator = env.unwrapped.simulator.config, env.unwrapped.simulator
    return (
        f"N = {simulator.n_items:,}, slate {simulator.slate_size}, D = {config.features}, "
        f"window {config.window}, n = {config.weights}, H = {config.hidden}, {config.activation}"
    )


def vector_block(name: str, num_envs: int, backend: str, compiled: bool, **arguments: Any) -> Block:
    """Returns a block that steps a vector environment with random slates of distinct items."""
    env: Any = gymnasium.make_vec(name, num_envs, backend=backend, compile=compiled, **arguments)
    env.reset(seed=0)
    n_items, size = env.simulator.n_items, env.simulator.slate_size
    slates = np.reshape(random_slates(n_items, size, 16 * num_envs), (16, num_envs, size))
    actions = list(slates if backend == "numpy" else torch.as_tensor(slates))

    def step() -> int:
        for action in actions:
            env.step(action)
        return len(actions) * num_envs

    return rate(step)


def vector(rounds: int) -> Section:
    """Many rows with NumPy."""
    targets = {(RECGAN, 1024): 600_000, (SLATE_MDP, 4096): 1_000_000}
    blocks = {
        f"{name}, {num_envs:,} rows": vector_block(name, num_envs, "numpy", False)
        for name, num_envs in targets
    }
    measured = alternate(blocks, rounds)
    figures = [
        Figure(f"{text}, NumPy", "steps/s", measured[text], at_least=least)
        for text, least in zip(blocks, targets.values(), strict=True)
    ]
    return Section("A vector environment", figures)


def recsim(rounds: int) -> Section:
    """RecSim's three worlds, alone and in a batch, beside RecSim's own."""
    section = Section("RecSim's worlds, in NumPy")
    try:
        importlib.import_module("recsim")
    except ImportError as error:
        section.notes.append(f"Skipped: RecSim is not installed ({error}).")
        return section
    speeds = []
    for (name, world), (sizes, least) in itertools.product(RECSIM.items(), RECSIM_SIZES.items()):
        arguments = dict(zip(("num_candidates", "slate_size"), sizes, strict=True))
        ours = single_stepper(gymnasium.make(name, **arguments), random_slates(*sizes))
        blocks = {
            "RecSim's own": rate(recsim_stepper(world, *sizes)),
            "one environment": rate(ours),
            "1,024 rows": vector_block(name, 1024, "numpy", False, **arguments),
        }
        measured = alternate(blocks, rounds)
        theirs = measured["RecSim's own"]
        title = f"{name}, {sizes[0]} candidates, slate {sizes[1]}"
        for way, target in (("one environment", least), ("1,024 rows", RECSIM_BATCH)):
            text = f"{title}: {way} over RecSim's own"
            section.figures.append(Figure(text, "x", ratio(measured[way], theirs), target))
        speeds += [Figure(f"{title}: {way}", "steps/s", measured[way]) for way in blocks]
    section.figures += speeds
    return section


def sb3(rounds: int) -> Section:
    """Stable-Baselines3's interface at 64 rows: from one batch, and from 64 environments."""
    from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

    def block(env: VecEnv) -> Block:
        env.reset()
        slates = list(np.reshape(random_slates(1682, 5, 16 * 64), (16, 64, 5)))

        def step() -> int:
            for actions in slates:
                env.step(actions)
            return len(slates) * 64

        return rate(step)

    ways = {
        "SB3VecEnv": block(SB3VecEnv(RECGAN, 64)),
        "DummyVecEnv": block(DummyVecEnv([lambda: gymnasium.make(RECGAN)] * 64)),
    }
    measured = alternate(ways, rounds)
    speedup = ratio(measured["SB3VecEnv"], measured["DummyVecEnv"])
    figures = [Figure("SB3VecEnv over Stable-Baselines3's DummyVecEnv", "x", speedup, at_least=5)]
    figures += [Figure(name, "steps/s", found) for name, found in measured.items()]
    return Section(f"{RECGAN} for Stable-Baselines3, 64 rows", figures)


def compiled(rounds: int) -> Section:
    """1,024 and 4,096 rows with torch.compile."""
    section = Section("A compiled vector environment")
    for num_envs in (1024, 4096):
        torch._dynamo.reset()
        with compiled_already():
            block = vector_block(RECGAN, num_envs, "torch", True)
            measured = alternate({"compiled": block}, rounds)["compiled"]
        figure = Figure(f"{num_envs:,} rows, torch.compile", "steps/s", measured, 1_300_000)
        section.figures.append(figure)
    return section


@contextmanager
def compiled_already() -> Iterator[None]:
    """Makes it an error to compile a function again."""
    with torch._dynamo.config.patch(error_on_recompile=True):
        yield


def scans(rounds: int) -> Section:
    """Greedy slates for a training update: fused, in eager blocks, and concatenated."""
    generator = torch.Generator().manual_seed(0)
    n_items, slate_size, batch = 1682, 5, 128
    features = torch.randn(n_items, FEATURES, generator=generator)
    state = torch.randn(batch, STATE, generator=generator)
    head = CascadeHead(slate_size, STATE, FEATURES, UNITS, generator).requires_grad_(False)
    candidates, nothing = head.candidates(features), torch.empty(batch, 0, dtype=torch.int64)
    fused = scan.compiled_score()
    ways: dict[str, Callable[[], Tensor]] = {
        "fused": lambda: head.greedy(state, nothing, candidates, fused),
        "eager": lambda: head.greedy(state, nothing, candidates, scan.score_eager),
        "plain": lambda: head.greedy(state, nothing, candidates, scan.score_plain),
        "concatenated": lambda: concatenated_greedy(head, state, nothing, candidates.features),
    }
    slates = [way() for way in ways.values()]
    with compiled_already():
        blocks = {name: milliseconds(way, 5) for name, way in ways.items()}
        measured = alternate(blocks, rounds)
    names = {
        "eager": "the table scanned eagerly in blocks",
        "plain": "the table scanned eagerly, written out",
        "concatenated": "feature vectors concatenated for every candidate",
    }
    floors = {"eager": 1.5, "concatenated": 10.0}
    section = Section(f"Greedy slates of {slate_size} from {n_items:,} items, batch {batch}")
    for name, text in names.items():
        figure = ratio(measured[name], measured["fused"])
        section.figures.append(
            Figure(f"fused, against {text}", "x faster", figure, floors.get(name))
        )
    section.figures.append(Figure("fused", "ms", measured["fused"]))
    section.figures += [Figure(text, "ms", measured[name]) for name, text in names.items()]
    agreement = min((slate == slates[0]).float().mean().item() for slate in slates)
    section.notes.append(f"The slates of all ways agree in {agreement:.2%} of their slots.")
    return section


def catalog(rounds: int) -> Section:
    """One slot over a million items, against reading its table once."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(1_000_000, UNITS, generator=generator)
    base, output = torch.randn(1, UNITS, generator=generator), torch.randn(UNITS)
    fused = scan.compiled_score()
    ways: dict[str, Callable[[], Tensor]] = {
        "fused": lambda: fused(table, base, output).argmax(1),
        "eager": lambda: scan.score_eager(table, base, output).argmax(1),
        "sum": table.sum,
        "norm": table.norm,
    }
    fused(table, base, output)
    with compiled_already():
        measured = alternate({name: milliseconds(way, 4) for name, way in ways.items()}, rounds)
    floor = [min(times) for times in zip(measured["sum"], measured["norm"], strict=True)]
    figures = [
        Figure("fused over its memory floor", "x", ratio(measured["fused"], floor), at_most=2.0),
        Figure("eager over its memory floor", "x", ratio(measured["eager"], floor)),
        Figure("fused", "ms", measured["fused"]),
        Figure("memory floor", "ms", floor),
    ]
    size = f"{table.nbytes / 1e6:,.0f} MB"
    note = (
        f"The floor is the faster of the table's sum and norm, each of which reads its {size} once."
    )
    return Section("A slot over 1,000,000 items, one row", figures, [note])


IMPORT_TIMER = """
import sys, time
import gymnasium
start = time.perf_counter()
import recgym
print(time.perf_counter() - start, int("torch" in sys.modules))
"""


def imports(rounds: int) -> Section:
    """``import recgym`` in a fresh interpreter where Gymnasium is already imported."""
    torch_imported = 0.0

    def block() -> float:
        nonlocal torch_imported
        command = [sys.executable, "-c", IMPORT_TIMER]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, has_torch = answer.stdout.split()
        torch_imported = max(torch_imported, float(has_torch))
        return float(seconds)

    measured = alternate({"import": block}, rounds)["import"]
    figures = [
        Figure("import recgym, over Gymnasium's own", "s", measured, at_most=0.5),
        Figure("torch is imported with it (1: yes)", "", [torch_imported], at_most=0.0),
    ]
    return Section("Importing", figures)


SECTIONS: dict[str, Callable[[int], Section]] = {
    "single": single,
    "vector": vector,
    "recsim": recsim,
    "sb3": sb3,
    "compiled": compiled,
    "scan": scans,
    "catalog": catalog,
    "import": imports,
    "growth": growth,
}


def main(
    section: Literal[
        "all",
        "single",
        "vector",
        "recsim",
        "sb3",
        "compiled",
        "scan",
        "catalog",
        "import",
        "growth",
    ] = "all",
    rounds: int = 7,
    out: Path = Path("docs/results"),
) -> None:
    """Measures, prints every figure beside its target, and writes OUT/benchmark.md and .json.

    Args:
        section: one section alone, which is printed and not written.
        rounds: alternate rounds of each measurement.
        out: folder of the published pages.

    Raises:
        RecGymError: a figure misses its target; the pages are written all the same.
    """
    done = []
    for name in SECTIONS if section == "all" else [section]:
        done.append(SECTIONS[name](rounds))
        print(done[-1].table(), flush=True)
    if section == "all":
        facts = machine()
        command = f"python scripts/benchmark.py --rounds {rounds}"
        write_text(out / "benchmark.md", page(done, facts, command))
        results = {"command": command, "machine": facts, "sections": [one.plain() for one in done]}
        write_json(out / "benchmark.json", results)
        for stem, picture in ((s, p) for one in done for s, p in one.pictures.items()):
            with atomic_write(out / f"{stem}.png") as temporary:
                picture.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    missed = [figure.name for one in done for figure in one.figures if figure.verdict == "FAIL"]
    if missed:
        raise RecGymError(f"targets missed: {'; '.join(missed)}")


if __name__ == "__main__":
    run(main)

"""The documentation's page of each environment, written from its own docstring and registration.

``python -m recgym.environment_docs`` writes them all into docs/environments, each with a film of
random slates (which needs Pillow).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from recgym.files import write_text
from recgym.recording import record, write_gif
from recgym.registry import ENVIRONMENTS
from recgym.simulators import SIMULATORS
from recgym.users import agreement_of
from recgym.users.folder import load_user_model

FOLDER = Path("docs") / "environments"
STEPS = 6
"""Slates in a film."""

_ABOUT_TITLES = (
    "The items are movies of MovieLens, whose licence does not let RecGym ship their titles:",
    '`titles="movielens"` fetches them, and shows genres in the place of clusters.',
    "",
)


def page(name: str) -> str:
    """Returns the page of an environment id, in Markdown."""
    arguments = dict(ENVIRONMENTS[name])
    build = SIMULATORS.find(arguments.pop("simulator"))
    text, described = split_docstring(inspect.getdoc(build) or "")
    rows = []
    for argument, parameter in inspect.signature(build).parameters.items():
        default = arguments.get(argument, parameter.default)
        rows.append(f"| `{argument}` | `{default!r}` | {described[argument]} |")
    return "\n".join(
        [
            f"# {name}",
            "",
            "<!-- Written by `python -m recgym.environment_docs`; edit the docstring instead. -->",
            "",
            f'`gymnasium.make("{name}")`, `gymnasium.make_vec("{name}", num_envs=1024)`',
            "",
            text,
            "",
            "## Example",
            "```python",
            "import gymnasium",
            "import recgym",
            "",
            f'env = gymnasium.make("{name}", render_mode="ansi")',
            "observation, info = env.reset(seed=0)",
            "slate = env.action_space.sample()",
            "observation, reward, terminated, truncated, info = env.step(slate)",
            "print(env.render())",
            "```",
            "",
            'Random slates, as `render_mode="rgb_array"` shows them;'
            " where an episode ends, another begins:",
            "",
            f"![{STEPS} slates; what was clicked is marked]({name}.gif)",
            "",
            *(_ABOUT_TITLES if "user_model" in arguments else ()),
            "## Arguments",
            "Beside those of every environment ([environments](../environments.md)):",
            "",
            "| argument | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
            *(_card(str(arguments["user_model"])) if "user_model" in arguments else []),
        ]
    )


def film(name: str) -> list[np.ndarray]:
    """Returns frames of random slates of an environment id, uint8 (height, width, 3).

    Where an episode ends, the next begins.
    """
    return record(gymnasium.make(name, render_mode="rgb_array"), None, steps=STEPS)


def _card(user_model: str) -> list[str]:
    """Returns what there is to know of a shipped user model, in lines of Markdown."""
    model = load_user_model(user_model)
    config, info, scores = model.config, model.info, model.scores
    floors = scores["floors"]
    rates = ", ".join(f"{rate:.2f} ({split})" for split, rate in info["random_click_rate"].items())
    return [
        "## The shipped user model",
        f"Fitted on {info['dataset']} with `{info['command']}`. It holds learned parameters only,"
        " no rows, titles or text of the dataset.",
        "",
        "| | |",
        "|---|---|",
        f"| licence of the dataset | {info['licence']} |",
        *(
            f"| what stands for the {name} | {what} |"
            for name, what in info.get("meaning", {}).items()
        ),
        f"| items (N), features (D) | {model.n_items}, {config.features} |",
        f"| user model | {config.summary}, window {config.window} |",
        f"| users | {', '.join(f'{len(h)} ({split})' for split, h in model.histories.items())} |",
        f"| models for `ensemble` | up to {len(model.bags)} |",
        f"| clicks of a random policy, a slate | {rates} |",
        f"| held-out log-likelihood, a page | {_beside(scores, floors, 'log_likelihood')} |",
        f"| held-out precision at 1 | {_beside(scores, floors, 'precision_at_1')} |",
        f"| held-out precision at 2 | {_beside(scores, floors, 'precision_at_2')} |",
        *_of_rewards(scores, floors),
        f"| what the log fixes | {model.identified} |",
        f"| rank correlation of the models of training and test users | {agreement_of(model)} |",
        "",
        "Rank correlations of rewards in the states of synthetic users: *levels*, of the mean over"
        " the items, from state to state; *items*, within a state; *tastes*, within a state, of"
        " what is left without each item's mean over the states.",
        "",
    ]


def _of_rewards(scores: Mapping[str, Any], floors: Mapping[str, Any]) -> list[str]:
    """Returns the line on the rewards of clicks, where the model predicts them."""
    name = "reward_log_likelihood"
    label = "held-out log-likelihood of the reward, a click"
    return [f"| {label} | {_beside(scores, floors, name)} |"] if name in scores else []


def _beside(scores: Mapping[str, Any], floors: Mapping[str, Any], name: str) -> str:
    """Returns a score beside those of the trivial models."""
    return (
        f"{scores[name]:.3f} (item-CTR {floors['item_ctr'][name]:.3f},"
        f" random {floors['random'][name]:.3f})"
    )


def split_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """Returns a docstring's text, and what it says of each argument."""
    text, _, rest = docstring.partition("\nArgs:\n")
    described: dict[str, str] = {}
    argument = ""
    for line in rest.partition("\nRaises:\n")[0].splitlines():
        if line[:4].isspace() and line[4:5].strip():
            argument, _, first = line.strip().partition(": ")
            described[argument] = first
        elif line.strip():
            described[argument] += f" {line.strip()}"
    return text.strip(), described


if __name__ == "__main__":
    for environment in ENVIRONMENTS:
        write_text(FOLDER / f"{environment}.md", page(environment))
        write_gif(FOLDER / f"{environment}.gif", film(environment), fps=1)

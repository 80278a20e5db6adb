"""Films an agent, or random slates, in an environment: a GIF or an MP4."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from recgym.errors import RecGymError
from recgym.recording import Act, render_episode
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.commands.train import Settings, settings
from recgym_agents.runs.environment_arguments import arguments_for, find_environment
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.runs.run import world_of
from recgym_agents.runs.run_folder import check_folder
from recgym_agents.runs.saved_agents import check_spec, load_agent


def main(
    env: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="ENV")] = None,
    *,
    out: Path,
    agent: Path | None = None,
    titles: str | None = None,
    split: Literal["train", "test"] | None = None,
    env_args: Settings = (),
    steps: int = 20,
    episodes: int = 1,
    seed: int = 0,
    fps: float = 2.0,
    trust: bool = False,
) -> None:
    """Films an agent, or random slates, in an environment.

    Args:
        env: environment id, or module:id; that of the agent's training if not given.
        out: the file, which ends in .gif or .mp4.
        agent: folder of a trained agent; random slates are shown if not given.
        titles: folder of prepared data whose titles are shown, or movielens for MovieLens 100K.
        split: whose user model: that of the training users, or of the test users.
        env_args: other arguments of the environment.
        steps: slates, at most.
        episodes: episodes, at most.
        seed: of the environment, and of random slates.
        fps: frames a second.
        trust: read what can run any code as it is read: an agent of Stable-Baselines3, or the
            module of an agent that the folder names as "module:name".
    """
    if out.is_dir():
        raise RecGymError(f"{out}: is a folder; --out names a file")
    check_folder(out.parent)
    arguments = ({} if split is None else {"split": split}) | settings(env_args)
    act: Act | None = None
    ids = False
    if agent is not None:
        trained, about = load_agent(agent, trust=trust)
        env, arguments = world_of(agent, about, env, arguments)
        act, ids = trained.act, trained.spec.ids
        own = make_vector_env(env, arguments, 1, "disabled", ids)
        check_spec(trained, EnvironmentSpec.of(own, ids))
    if env is None:
        raise RecGymError("no environment: name its id, or an agent with --agent")
    arguments = arguments_for(find_environment(env), arguments, ids)
    if titles is not None:
        arguments["titles"] = titles
    frames = render_episode(
        env, arguments, act, out, steps=steps, episodes=episodes, seed=seed, fps=fps
    )
    print(f"{out}: {frames} frames")

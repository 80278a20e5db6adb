"""Episodes as GIF and MP4."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from recgym.errors import RecGymError
from recgym.files import atomic_write

Act = Callable[[np.ndarray], Any]
"""An observation of one environment -> an action for it."""
COLOURS = 64
"""Of a GIF: the most frequent ones; the shades at the edges of letters become the nearest."""


def render_episode(
    env_id: str,
    env_args: Mapping[str, Any],
    act: Act | None,
    out: Path | str,
    *,
    steps: int = 50,
    episodes: int = 1,
    seed: int = 0,
    fps: float = 2.0,
) -> int:
    """Plays in an environment, and writes what it shows to a file.

    Args:
        env_id: environment id, such as "RecGAN-v0".
        env_args: its arguments, such as ``{"titles": "movielens"}``.
        act: chooses an action for an observation; None for random actions.
        out: a file that ends in .gif or .mp4.
        steps: actions, at most.
        episodes: episodes, at most.
        seed: of the environment and of random actions.
        fps: frames a second.

    Returns:
        How many frames were written.

    Raises:
        RecGymError: another ending, no steps or episodes, no frames a second, or a package is
            missing.
    """
    write = WRITERS.get(Path(out).suffix.lower())
    if write is None:
        raise RecGymError(f"{out}: must end in {' or '.join(WRITERS)}")
    with gymnasium.make(env_id, **{**env_args, "render_mode": "rgb_array"}) as env:
        frames = record(env, act, steps=steps, episodes=episodes, seed=seed)
    write(out, frames, fps)
    return len(frames)


def record(
    env: gymnasium.Env[Any, Any],
    act: Act | None,
    *,
    steps: int,
    episodes: int | None = None,
    seed: int = 0,
) -> list[np.ndarray]:
    """Returns what an environment shows: a frame at each reset, and one after each step.

    Args:
        env: made with ``render_mode="rgb_array"``.
        act: chooses an action for an observation; None for random actions.
        steps: actions, at most.
        episodes: episodes, at most; None for as many as there are steps for.
        seed: of the first reset and of random actions.

    Raises:
        RecGymError: the environment has another render mode, or no steps or episodes.
    """
    if env.render_mode != "rgb_array":
        raise RecGymError(f"render_mode={env.render_mode!r}: make it with render_mode='rgb_array'")
    if steps < 1 or (episodes is not None and episodes < 1):
        raise RecGymError(f"steps={steps}, episodes={episodes}: must be at least 1")
    env.action_space.seed(seed)
    observation, _ = env.reset(seed=seed)
    frames: list[Any] = [env.render()]
    ended = 0
    for step in range(1, steps + 1):
        action = env.action_space.sample() if act is None else act(observation)
        observation, _, terminated, truncated, _ = env.step(action)
        frames.append(env.render())
        if terminated or truncated:
            ended += 1
            if ended == episodes or step == steps:
                break
            observation, _ = env.reset()
            frames.append(env.render())
    return frames


def write_gif(path: Path | str, frames: Sequence[np.ndarray], fps: float = 2.0) -> None:
    """Writes frames (height, width, 3) as a GIF that begins again at its end (needs Pillow).

    Raises:
        RecGymError: no frames, no frames a second, or Pillow is missing.
    """
    _check(path, frames, fps)
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise RecGymError(f'{path}: GIFs need Pillow: pip install "recgym[render]"') from None
    palette = Image.new("P", (1, 1))
    palette.putpalette(_most_frequent(frames).tobytes())
    dither = Image.Dither.NONE
    images = [Image.fromarray(frame).quantize(palette=palette, dither=dither) for frame in frames]
    with atomic_write(path) as temporary:
        images[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=round(1000 / fps),
            loop=0,
        )


def write_mp4(path: Path | str, frames: Sequence[np.ndarray], fps: float = 2.0) -> None:
    """Writes frames (height, width, 3), of even sizes, as H.264 (needs imageio-ffmpeg).

    Raises:
        RecGymError: no frames, no frames a second, or imageio-ffmpeg is missing.
    """
    _check(path, frames, fps)
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError:
        raise RecGymError(
            f'{path}: MP4 needs imageio-ffmpeg: pip install "recgym[render]"'
        ) from None
    height, width, _ = frames[0].shape
    with atomic_write(path) as temporary:
        writer = imageio_ffmpeg.write_frames(
            str(temporary),
            (width, height),
            fps=fps,
            macro_block_size=2,
            output_params=["-f", "mp4"],
            ffmpeg_log_level="error",
        )
        writer.send(None)
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
        writer.close()


def _most_frequent(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the colours that frames have most of, uint8 (at most COLOURS, 3)."""
    quarter = np.concatenate([frame[::2, ::2].reshape(-1, 3) for frame in frames])
    packed = quarter.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    colours, counts = np.unique(packed, return_counts=True)
    most = colours[np.argsort(-counts, kind="stable")[:COLOURS]]
    return np.stack([most >> 16, most >> 8 & 255, most & 255], axis=1).astype(np.uint8)


def _check(path: Path | str, frames: Sequence[np.ndarray], fps: float) -> None:
    if not frames or not fps > 0:
        raise RecGymError(f"{path}: {len(frames)} frames at {fps} a second; both must be above 0")


WRITERS: dict[str, Callable[[Path | str, Sequence[np.ndarray], float], None]] = {
    ".gif": write_gif,
    ".mp4": write_mp4,
}
"""What a file's name ends in -> how it is written."""

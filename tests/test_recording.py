"""Episodes as GIF and MP4."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from PIL import Image

from recgym import RecGymError
from recgym.recording import record, render_episode, write_gif, write_mp4

SMALL: dict[str, Any] = {"n_items": 8, "slate_size": 3, "horizon": 3}
MODE = {"render_mode": "rgb_array"}


def frames(count: int) -> list[np.ndarray]:
    return [np.full((40, 60, 3), 20 * number, np.uint8) for number in range(count)]


def test_a_frame_at_each_reset_and_one_after_each_step() -> None:
    env = gymnasium.make("RecGAN-v0", horizon=3, **MODE)
    assert len(record(env, None, steps=2)) == 3
    assert len(record(env, None, steps=3)) == 4
    assert len(record(env, None, steps=4)) == 6
    assert len(record(env, None, steps=9, episodes=2)) == 8


def test_frames_are_what_the_environment_shows_of_the_actions() -> None:
    env = gymnasium.make("SlateMDP-v0", **SMALL, **MODE)
    seen = []

    def act(observation: np.ndarray) -> np.ndarray:
        seen.append(observation)
        return np.array([4, 1, 6])

    shown = record(env, act, steps=1, seed=5)
    twin = gymnasium.make("SlateMDP-v0", **SMALL, **MODE)
    observation, _ = twin.reset(seed=5)
    blank: Any = twin.render()
    twin.step([4, 1, 6])
    after: Any = twin.render()
    assert (seen[0] == observation).all()
    assert (shown[0] == blank).all()
    assert (shown[1] == after).all()


def test_the_same_seed_is_the_same_film() -> None:
    env = gymnasium.make("SlateMDP-v0", **SMALL, **MODE)
    films = [record(env, None, steps=4, seed=seed) for seed in (1, 1, 2)]
    assert all((one == other).all() for one, other in zip(films[0], films[1], strict=True))
    assert len(films[0]) != len(films[2]) or any(
        (one != other).any() for one, other in zip(films[0], films[2], strict=True)
    )


def test_a_gif_has_the_frames_and_goes_round(tmp_path: Path) -> None:
    write_gif(tmp_path / "film.gif", frames(4), fps=4)
    with Image.open(tmp_path / "film.gif") as film:
        assert (film.n_frames, film.size) == (4, (60, 40))  # type: ignore[attr-defined]
        assert (film.info["duration"], film.info["loop"]) == (250, 0)
        film.seek(3)
        shown = np.asarray(film.convert("RGB"))
        assert abs(shown.astype(int) - 60).max() <= 2


def test_an_mp4_has_the_frames(tmp_path: Path) -> None:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    write_mp4(tmp_path / "film.mp4", frames(4), fps=4)
    assert imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4")) == (4, 1.0)


def test_an_episode_becomes_a_file(tmp_path: Path) -> None:
    out = tmp_path / "folder" / "film.GIF"
    count = render_episode("SlateMDP-v0", SMALL, None, out, steps=9, episodes=1)
    with Image.open(out) as film:
        assert 2 <= film.n_frames <= count <= 4  # type: ignore[attr-defined]


def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def play(name: str, **arguments: Any) -> None:
        render_episode("SlateMDP-v0", SMALL, None, tmp_path / name, **arguments)

    with pytest.raises(RecGymError, match=r"film\.avi: must end in \.gif or \.mp4"):
        play("film.avi")
    with pytest.raises(RecGymError, match="steps=0, episodes=1: must be at least 1"):
        play("film.gif", steps=0)
    with pytest.raises(RecGymError, match="steps=5, episodes=0: must be at least 1"):
        play("film.gif", steps=5, episodes=0)
    with pytest.raises(RecGymError, match=r"film\.gif: 2 frames at 0 a second"):
        play("film.gif", steps=1, fps=0)
    with pytest.raises(RecGymError, match="make it with render_mode='rgb_array'"):
        record(gymnasium.make("SlateMDP-v0"), None, steps=1)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(RecGymError, match=r'pip install "recgym\[render\]"'):
        play("film.mp4", steps=1)
    assert list(tmp_path.iterdir()) == []

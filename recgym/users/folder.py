"""A fitted user model, and the folder that holds one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.files import load_arrays, read_json, save_arrays, sha256_of_arrays, write_json
from recgym.users.gan import Params
from recgym.users.kinds import KINDS, UserConfig, functions_of, kind_of

SHIPPED = {
    "recgan": Path(__file__).parent / "shipped" / "recgan",
    "recgan-lstm": Path(__file__).parent / "shipped" / "recgan-lstm",
    "irecgan": Path(__file__).parent / "shipped" / "irecgan",
}
"""The folders of the user models that come with the package."""


@dataclass(frozen=True, eq=False)
class FittedUserModel:
    """User models of one shape over one item table, fitted on different users.

    A folder of it holds ``params.safetensors`` (every array), ``config.json`` (the configuration
    and what the model was fitted on), and ``scores.json`` (held-out scores).
    """

    config: UserConfig
    features: Array
    """(N, D) float32 item features, fitted on training users, frozen, shared by all members"""
    members: Mapping[str, Params]
    """"train" and "test", fitted on those users; "bag0".. on training users drawn at random"""
    histories: Mapping[str, Array]
    """"train" and "test": (U, window) int64 synthetic click histories drawn from that member"""
    info: Mapping[str, Any]
    """dataset, licence, data_sha256, command, repeat_clicks, page_size, random_click_rate, ..."""
    scores: Mapping[str, Any]
    """log_likelihood, precision_at_1, precision_at_2 on test users, and the same of the floors"""

    @property
    def n_items(self) -> int:
        """N."""
        return len(self.features)

    @property
    def bags(self) -> tuple[str, ...]:
        """The names of the bagged members."""
        return tuple(name for name in self.members if name.startswith("bag"))

    @property
    def catalog_digest(self) -> str:
        """The SHA-256 of the item features: what an agent trained with them must find again."""
        return sha256_of_arrays({"features": self.features})

    def save(self, folder: Path | str) -> None:
        """Writes the folder; each file is whole or absent, ``params.safetensors`` comes last."""
        folder = Path(folder)
        arrays = {"features": self.features}
        arrays |= {f"histories.{split}": ids for split, ids in self.histories.items()}
        for member, params in self.members.items():
            arrays |= {f"{member}/{name}": array for name, array in params.items()}
        config: dict[str, Any] = {"config": asdict(self.config), "info": dict(self.info)}
        if kind_of(self.config) != "gan":  # the first kind, of folders that name none
            config["kind"] = kind_of(self.config)
        texts = {"config.json": config, "scores.json": dict(self.scores)}
        for name, value in texts.items():
            write_json(folder / name, value)
        written = {name: read_json(folder / name) for name in texts}
        save_arrays(folder / "params.safetensors", arrays, info=written)

    @staticmethod
    def load(folder: Path | str) -> FittedUserModel:
        """Reads what ``save`` wrote.

        Raises:
            RecGymError: the folder or a file in it is missing, truncated or altered, or the arrays
                do not fit the configuration.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise RecGymError(f"{folder}: no user model here; make one with scripts/fit.py")
        arrays, written = load_arrays(folder / "params.safetensors")
        if not isinstance(written, dict) or set(written) != {"config.json", "scores.json"}:
            raise RecGymError(f"{folder / 'params.safetensors'}: not the arrays of a user model")
        for name, contents in written.items():
            if read_json(folder / name) != contents:
                raise RecGymError(f"{folder / name}: altered since params.safetensors was written")
        stored = written["config.json"]
        config = _read_config(stored, folder / "config.json")
        members: dict[str, dict[str, Array]] = {}
        histories: dict[str, Array] = {}
        for name, array in arrays.items():
            member, slash, parameter = name.partition("/")
            if slash:
                members.setdefault(member, {})[parameter] = array
            elif name.startswith("histories."):
                histories[name.removeprefix("histories.")] = array
        model = FittedUserModel(
            config=config,
            features=arrays.get("features", np.zeros((0, config.features), np.float32)),
            members=dict(sorted(members.items(), key=lambda pair: _order(pair[0]))),
            histories=histories,
            info=stored["info"],
            scores=written["scores.json"],
        )
        _check(model, folder / "params.safetensors")
        return model


def _order(member: str) -> tuple[str, int]:
    """Sorts bag2 before bag10."""
    return member.rstrip("0123456789"), int(member.lstrip("abcdefghijklmnopqrstuvwxyz") or -1)


def _read_config(stored: Any, path: Path) -> UserConfig:
    kind = stored.get("kind", "gan") if isinstance(stored, dict) else None
    if kind not in KINDS:
        raise RecGymError(f"{path}: not the configuration of a user model")
    names = {field.name for field in fields(KINDS[kind])}
    if set(stored.get("config", ())) != names:
        raise RecGymError(f"{path}: not the configuration of a {kind} user model")
    values = stored["config"]
    config: UserConfig = KINDS[kind](
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
    )
    return config


def _check(model: FittedUserModel, path: Path) -> None:
    """Raises unless every array has the shape that the configuration asks for."""
    if model.features.ndim != 2 or model.features.shape[1] != model.config.features:
        raise RecGymError(f"{path}: item features have shape {model.features.shape}")
    if "train" not in model.members:
        raise RecGymError(f"{path}: no member 'train'")
    expected = functions_of(model.config).shapes(model.config)
    for member, params in model.members.items():
        found = {name: array.shape for name, array in params.items()}
        if found != expected:
            names = sorted(
                name for name in found.keys() | expected if found.get(name) != expected.get(name)
            )
            raise RecGymError(f"{path}: member {member!r} has a wrong or missing {names[0]!r}")
    for split, ids in model.histories.items():
        inside = ids.size == 0 or (ids.min() >= 0 and ids.max() <= model.n_items)
        if ids.ndim != 2 or ids.shape[1] < model.config.window or not inside:
            raise RecGymError(f"{path}: histories of {split!r} do not fit the catalog")

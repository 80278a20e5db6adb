"""A fitted user model, and the folder that holds one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.files import load_arrays, read_json, save_arrays, settle, sha256_of_arrays, write_json
from recgym.settings import changed
from recgym.users.gan import Params
from recgym.users.kinds import KINDS, UserConfig, functions_of, kind_of, name_of
from recgym.users.meta import MetaUserConfig
from recgym.whole_folders import replace_folder

SHIPPED = {
    "recgan": Path(__file__).parent / "shipped" / "recgan",
    "recgan-lstm": Path(__file__).parent / "shipped" / "recgan-lstm",
    "irecgan": Path(__file__).parent / "shipped" / "irecgan",
    "m3rec": Path(__file__).parent / "shipped" / "m3rec",
}
"""The folders of the user models that come with the package."""
NEWER = ("similarity",)
"""Settings that older folders do not name; they have their defaults."""
FILES = ("params.safetensors", "config.json", "scores.json")
"""The files of a user model."""
FOLDER = "a user model"
"""What a folder of them is called in messages."""


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
    """log_likelihood, precision_at_1, precision_at_2 on test users, the same of the floors, and the
    agreement of the members "train" and "test" """
    contexts: Mapping[str, Array] = field(default_factory=dict)
    """of a meta-level user model: "train" and "test": (U, C) float32 contexts of the users of the
    histories"""
    next_click_entropy: Array | None = None
    """(N + 1,) float32, of the training users' clicks, see ``next_clicks.next_click_entropy``; None
    in folders written before there was one"""

    @property
    def n_items(self) -> int:
        """N."""
        return len(self.features)

    @property
    def bags(self) -> tuple[str, ...]:
        """The names of the bagged members."""
        return tuple(name for name in self.members if name.startswith("bag"))

    @property
    def identified(self) -> str:
        """What a log such as the model's fixes of its rewards, in words."""
        if kind_of(self.config).rewards == "logged":
            return "rewards, which the log holds of every click"
        if not kind_of(self.config).chooses:
            return "nothing of rewards: the model ranks items, and says no choice probabilities"
        if self.config.outside is None:
            return (
                "differences of rewards between items; not their level, to which any function of"
                " the state may be added (no page without a click)"
            )
        return (
            "differences of rewards between items, and from pages without a click how high they are"
            f" on the whole; {self.level_share:.0%} of how their level differs from state to state"
        )

    @property
    def level_share(self) -> float:
        """The share, 0..1, that identified rewards keep of how a state's level differs from others.

        A fit on other users confirms as much: it is the rank correlation of the two fits' levels,
        0 if it is negative, or not known, or the log has no page without a click.
        """
        if self.config.outside is None:
            return 0.0
        levels: float = self.scores.get("agreement", {}).get("levels", 0.0)
        return max(0.0, levels)

    @property
    def catalog_digest(self) -> str:
        """The SHA-256 of the item features: what an agent trained with them must find again."""
        return sha256_of_arrays({"features": self.features})

    def save(self, folder: Path | str) -> None:
        """Writes the folder. A user model that is there already is replaced as a whole.

        Stopped at any moment, the folder is the one before or the one after.

        Raises:
            RecGymError: the folder holds something else, or cannot be written.
        """
        arrays = {"features": self.features}
        arrays |= {f"histories.{split}": ids for split, ids in self.histories.items()}
        arrays |= {f"contexts.{split}": drawn for split, drawn in self.contexts.items()}
        if self.next_click_entropy is not None:
            arrays["next_click_entropy"] = self.next_click_entropy
        for member, params in self.members.items():
            arrays |= {f"{member}/{name}": array for name, array in params.items()}
        config: dict[str, Any] = {"config": asdict(self.config), "info": dict(self.info)}
        if name_of(self.config) != "gan":  # the first kind, of folders that name none
            config["kind"] = name_of(self.config)
        texts = {"config.json": config, "scores.json": dict(self.scores)}
        with replace_folder(folder, FILES, FOLDER) as fresh:
            for name, value in texts.items():
                write_json(fresh / name, value)
            written = {name: read_json(fresh / name) for name in texts}
            save_arrays(fresh / "params.safetensors", arrays, info=written)

    @staticmethod
    def load(folder: Path | str) -> FittedUserModel:
        """Reads what ``save`` wrote.

        Raises:
            RecGymError: the folder or a file in it is missing, truncated or altered, or the arrays
                do not fit the configuration.
        """
        folder = Path(folder)
        if not folder.exists():
            settle(folder.resolve())
        if not folder.is_dir():
            raise RecGymError(f"{folder}: no user model here; make one with recgym fit")
        arrays, written = load_arrays(folder / "params.safetensors")
        if not isinstance(written, dict) or set(written) != {"config.json", "scores.json"}:
            raise RecGymError(f"{folder / 'params.safetensors'}: not the arrays of a user model")
        for name, contents in written.items():
            if _as_text(read_json(folder / name)) != _as_text(contents):
                raise RecGymError(f"{folder / name}: altered since params.safetensors was written")
        stored = written["config.json"]
        config = _read_config(stored, folder / "config.json")
        members: dict[str, dict[str, Array]] = {}
        histories: dict[str, Array] = {}
        contexts: dict[str, Array] = {}
        for name, array in arrays.items():
            member, slash, parameter = name.partition("/")
            if slash:
                members.setdefault(member, {})[parameter] = array
            elif name.startswith("histories."):
                histories[name.removeprefix("histories.")] = array
            elif name.startswith("contexts."):
                contexts[name.removeprefix("contexts.")] = array
        model = FittedUserModel(
            config=config,
            features=arrays.get("features", np.zeros((0, config.features), np.float32)),
            members={name: members[name] for name in sorted(members, key=_order)},
            histories=histories,
            info=stored["info"],
            scores=written["scores.json"],
            contexts=contexts,
            next_click_entropy=arrays.get("next_click_entropy"),
        )
        _check(model, folder / "params.safetensors")
        return model


def load_user_model(name: str | Path) -> FittedUserModel:
    """Loads a fitted user model from its folder, or a shipped one by name.

    Raises:
        RecGymError: there is none, or it is not whole.
    """
    folder = SHIPPED.get(str(name), Path(name))
    if not folder.is_dir():
        shipped = ", ".join(SHIPPED)
        raise RecGymError(f"user_model {str(name)!r}: no such folder, and not one of: {shipped}")
    return FittedUserModel.load(folder)


def _order(member: str) -> tuple[int, str]:
    """Sorts bag2 before bag10."""
    return len(member), member


def _as_text(value: Any) -> str:
    """JSON to compare by: what is not a number equals itself."""
    return json.dumps(value, sort_keys=True)


def _read_config(stored: Any, path: Path) -> UserConfig:
    kind = stored.get("kind", "gan") if isinstance(stored, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise RecGymError(f"{path}: not the configuration of a user model")
    shape = KINDS.find(kind).config
    names = {one.name for one in fields(shape)}
    values, info = stored.get("config"), stored.get("info")
    whole = isinstance(values, dict) and set(values) <= names <= {*values, *NEWER}
    if not whole or not isinstance(info, dict):
        raise RecGymError(f"{path}: not the configuration of a {kind} user model")
    if not isinstance(info.get("repeat_clicks"), bool):
        raise RecGymError(f"{path}: does not say whether users click an item twice (repeat_clicks)")
    try:
        config: UserConfig = changed(shape(), values, str(path))
    except RecGymError as error:
        raise RecGymError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    return config


def _check(model: FittedUserModel, path: Path) -> None:
    """Raises unless every array has the shape that the configuration asks for."""
    if model.features.ndim != 2 or model.features.shape[1] != model.config.features:
        raise RecGymError(f"{path}: item features have shape {model.features.shape}")
    if not len(model.features):
        raise RecGymError(f"{path}: no item features")
    if "train" not in model.members:
        raise RecGymError(f"{path}: no member 'train'")
    for split in ("train", "test"):
        if split in model.members and split not in model.histories:
            raise RecGymError(f"{path}: no histories of {split!r}")
    numbers = [a for member in model.members.values() for a in member.values()]
    numbers = [model.features, *(array for array in numbers if array.dtype != np.int64)]  # not ids
    if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in numbers):
        raise RecGymError(f"{path}: a parameter is not a finite floating-point number")
    expected = functions_of(model.config).shapes(model.config)
    for member, params in model.members.items():
        found = {name: array.shape for name, array in params.items()}
        names = sorted(
            name
            for name in found.keys() | expected
            if not has_shape(found.get(name), expected.get(name))
        )
        if names:
            raise RecGymError(f"{path}: member {member!r} has a wrong or missing {names[0]!r}")
    for split, ids in model.histories.items():
        inside = (
            ids.dtype == np.int64 and ids.size and ids.min() >= 0 and ids.max() <= model.n_items
        )
        if ids.ndim != 2 or ids.shape[1] < model.config.window or not inside:
            raise RecGymError(f"{path}: histories of {split!r} do not fit the catalog")
    entropy = model.next_click_entropy
    if entropy is not None:
        fits = entropy.shape == (model.n_items + 1,) and entropy.dtype.kind == "f"
        if not fits or not ((entropy >= 0.0) & (entropy <= 1.0)).all():
            raise RecGymError(f"{path}: next_click_entropy does not fit the catalog")
    if isinstance(model.config, MetaUserConfig):
        for split, ids in model.histories.items():
            drawn = model.contexts.get(split, np.empty(0))
            fits = drawn.shape == (len(ids), model.config.context) and drawn.dtype.kind == "f"
            if not fits or not np.isfinite(drawn).all():
                raise RecGymError(f"{path}: contexts of {split!r} do not fit its histories")


def has_shape(found: tuple[int, ...] | None, expected: tuple[int, ...] | None) -> bool:
    """Returns whether an array has the shape that is expected, whose -1 is any length."""
    if found is None or expected is None or len(found) != len(expected):
        return False
    return all(wanted in (-1, length) for length, wanted in zip(found, expected, strict=True))

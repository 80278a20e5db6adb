"""The folder of a user model: what is written is what is read, and damage is noticed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym.files import load_arrays, save_arrays, write_json
from recgym.users import SHIPPED, FittedUserModel, GANUserConfig, gan
from recgym.users.folder import FILES
from recgym.users.kinds import functions_of
from recgym.users.meta import MetaUserConfig
from tests.fixtures.user_model import random_user_model

CONFIG = GANUserConfig(window=3, weights=2, features=4, hidden=(5, 6))


def model() -> FittedUserModel:
    rng = np.random.default_rng(0)
    members = {
        name: {
            key: rng.standard_normal(shape).astype(np.float32)
            for key, shape in gan.shapes(CONFIG).items()
        }
        for name in ("train", "test", *(f"bag{i}" for i in range(11)))
    }
    return FittedUserModel(
        config=CONFIG,
        features=rng.standard_normal((7, 4)).astype(np.float32),
        members=members,
        histories={"train": rng.integers(8, size=(9, 3)), "test": rng.integers(8, size=(9, 3))},
        info={"dataset": "small", "repeat_clicks": False, "random_click_rate": {"train": 0.5}},
        scores={"log_likelihood": -1.5, "floors": {}},
        next_click_entropy=rng.random(8).astype(np.float32),
    )


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    written = model()
    written.save(tmp_path / "user")
    read = FittedUserModel.load(tmp_path / "user")
    assert read.config == written.config
    assert read.info == written.info
    assert read.scores == written.scores
    assert read.catalog_digest == written.catalog_digest
    assert read.bags == tuple(f"bag{i}" for i in range(11))
    np.testing.assert_array_equal(read.features, written.features)
    assert read.members.keys() == written.members.keys()
    for name, params in written.members.items():
        for key, value in params.items():
            np.testing.assert_array_equal(read.members[name][key], value)
    for split, ids in written.histories.items():
        np.testing.assert_array_equal(read.histories[split], ids)
    np.testing.assert_array_equal(read.next_click_entropy, written.next_click_entropy)


def test_a_folder_from_before_next_clicks_were_stored(tmp_path: Path) -> None:
    replace(model(), next_click_entropy=None).save(tmp_path)
    assert FittedUserModel.load(tmp_path).next_click_entropy is None


@pytest.mark.parametrize("missing", [True, False])
def test_a_setting_newer_than_a_folder_has_its_default(tmp_path: Path, missing: bool) -> None:
    written = model()
    written.save(tmp_path)
    arrays, info = load_arrays(tmp_path / "params.safetensors")
    assert isinstance(info, dict)
    stored = info["config.json"]
    if missing:
        del stored["config"]["similarity"]
    else:
        stored["config"]["familiarity"] = False
    write_json(tmp_path / "config.json", stored)
    save_arrays(tmp_path / "params.safetensors", arrays, info)
    if missing:
        assert FittedUserModel.load(tmp_path).config == written.config
    else:
        with pytest.raises(RecGymError, match="not the configuration of a gan user model"):
            FittedUserModel.load(tmp_path)


def test_a_recurrent_model_is_one_again(tmp_path: Path) -> None:
    written = random_user_model(kind="recurrent", cell="gru", layers=1, outside=None)
    written.save(tmp_path)
    assert FittedUserModel.load(tmp_path).config == written.config
    assert '"kind": "recurrent"' in (tmp_path / "config.json").read_text()
    path = tmp_path / "params.safetensors"
    arrays, info = load_arrays(path)
    assert isinstance(info, dict)
    config = info["config.json"] | {"kind": "convolutional"}
    write_json(tmp_path / "config.json", config)
    save_arrays(path, arrays, info | {"config.json": config})
    with pytest.raises(RecGymError, match="not the configuration of a user model"):
        FittedUserModel.load(tmp_path)


def test_other_features_have_another_digest() -> None:
    one = model()
    other = replace(one, features=one.features + np.float32(1e-6))
    assert one.catalog_digest != other.catalog_digest
    assert one.catalog_digest == replace(one, scores={}).catalog_digest


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [flip_a_byte, truncate, Path.unlink])
def test_damaged_parameters_are_one_line(damage, tmp_path: Path) -> None:
    model().save(tmp_path)
    damage(tmp_path / "params.safetensors")
    with pytest.raises(RecGymError, match=r"params\.safetensors") as error:
        FittedUserModel.load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "was", "becomes"),
    [("config.json", '"window": 3', '"window": 4'), ("scores.json", "-1.5", "-1.4")],
)
def test_an_altered_text_is_noticed(name: str, was: str, becomes: str, tmp_path: Path) -> None:
    model().save(tmp_path)
    path = tmp_path / name
    assert was in path.read_text()
    path.write_text(path.read_text().replace(was, becomes))
    with pytest.raises(RecGymError, match=rf"{re.escape(name)}: altered"):
        FittedUserModel.load(tmp_path)


def test_no_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match="no user model here"):
        FittedUserModel.load(tmp_path / "nowhere")


def test_arrays_that_do_not_fit_the_configuration_are_refused(tmp_path: Path) -> None:
    model().save(tmp_path)
    path = tmp_path / "params.safetensors"
    arrays, info = load_arrays(path)
    save_arrays(path, arrays | {"bag3/reward.weight1": np.zeros((2, 2), np.float32)}, info)
    with pytest.raises(RecGymError, match=r"'bag3' has a wrong or missing 'reward\.weight1'"):
        FittedUserModel.load(tmp_path)
    save_arrays(path, arrays | {"histories.train": np.full((2, 3), 8)}, info)
    with pytest.raises(RecGymError, match="histories of 'train'"):
        FittedUserModel.load(tmp_path)


def without(name: str) -> Callable[[dict[str, np.ndarray]], object]:
    return lambda arrays: arrays.pop(name)


def renamed(name: str, other: str) -> Callable[[dict[str, np.ndarray]], object]:
    return lambda arrays: arrays.update({other: arrays.pop(name)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("features"), "no item features"),
        (without("train/reward.item"), r"'train' has a wrong or missing 'reward\.item'"),
        (without("histories.test"), "no histories of 'test'"),
        (renamed("bag1/reward.bias0", "bag1/reward.bias"), "'bag1' has a wrong or missing"),
        (renamed("bag1/reward.bias0", "bag1x2/reward.bias0"), "has a wrong or missing"),
        (renamed("bag1/reward.bias0", "Ä/reward.bias0"), "has a wrong or missing"),
        (renamed("histories.train", "histories.validation"), "no histories of 'train'"),
        (lambda arrays: arrays["features"].fill(np.nan), "not a finite"),
        (lambda arrays: arrays["test/reward.output"].fill(np.inf), "not a finite"),
        (
            lambda arrays: arrays.update(features=np.zeros((7, 4), np.int64)),
            "not a finite floating-point number",
        ),
        (
            lambda arrays: arrays.update({"histories.train": np.zeros((9, 3), np.float32)}),
            "histories of 'train'",
        ),
        (
            lambda arrays: arrays.update({"histories.train": np.zeros((0, 3), np.int64)}),
            "histories of 'train'",
        ),
        (
            lambda arrays: arrays.update(next_click_entropy=np.zeros(7, np.float32)),
            "next_click_entropy does not fit",
        ),
        (
            lambda arrays: arrays["next_click_entropy"].fill(np.nan),
            "next_click_entropy does not fit",
        ),
    ],
)
def test_parameters_that_are_missing_or_renamed_under_a_valid_digest_are_one_line(
    change: Callable[[dict[str, np.ndarray]], object], message: str, tmp_path: Path
) -> None:
    model().save(tmp_path)
    path = tmp_path / "params.safetensors"
    arrays, info = load_arrays(path)
    change(arrays)
    save_arrays(path, arrays, info)
    with pytest.raises(RecGymError, match=message) as error:
        FittedUserModel.load(tmp_path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("window", 0, r"window=0: must be in 1\.\.1000"),
        ("window", "3", "window='3' does not fit int"),
        ("hidden", [], "hidden layers=0: must be in"),
        ("hidden", [5, 0], "hidden=0: must be"),
        ("hidden", 5, "hidden=5 does not fit a list of int"),
        ("hidden", [8_192] * 64, "parameters is too large"),
        ("eta", 0.0, "eta=0.0: must be at least"),
        ("no_click", 1, "no_click=1 does not fit bool"),
        ("history", "gru", "history='gru' does not fit position-weight | lstm"),
    ],
)
def test_a_configuration_that_no_model_has_is_one_line(
    name: str, value: object, message: str, tmp_path: Path
) -> None:
    model().save(tmp_path)
    path = tmp_path / "params.safetensors"
    arrays, info = load_arrays(path)
    info["config.json"]["config"][name] = value
    write_json(tmp_path / "config.json", info["config.json"])
    save_arrays(path, arrays, info)
    with pytest.raises(RecGymError, match=message) as error:
        FittedUserModel.load(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "config.json"))


@pytest.mark.parametrize("key", ["config", "info"])
@pytest.mark.parametrize("value", [None, [], "text", {}])
def test_a_configuration_of_another_form_is_one_line(
    key: str, value: object, tmp_path: Path
) -> None:
    model().save(tmp_path)
    path = tmp_path / "params.safetensors"
    arrays, info = load_arrays(path)
    info["config.json"][key] = value
    write_json(tmp_path / "config.json", info["config.json"])
    save_arrays(path, arrays, info)
    with pytest.raises(RecGymError, match=r"config\.json: (not the config|does not say)"):
        FittedUserModel.load(tmp_path)


def test_json_that_is_too_deep_is_one_line(tmp_path: Path) -> None:
    model().save(tmp_path)
    (tmp_path / "scores.json").write_text("[" * 100_000)
    with pytest.raises(RecGymError, match=r"scores\.json: not JSON"):
        FittedUserModel.load(tmp_path)


def test_scores_may_be_no_numbers(tmp_path: Path) -> None:
    replace(model(), scores={"log_likelihood": float("nan")}).save(tmp_path)
    assert np.isnan(FittedUserModel.load(tmp_path).scores["log_likelihood"])


def test_equal_models_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        model().save(tmp_path / name)
    for file in FILES:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_model_replaces_a_model_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "user"
    model().save(folder)
    replace(model(), scores={"log_likelihood": -9.0}).save(folder)
    assert FittedUserModel.load(folder).scores == {"log_likelihood": -9.0}
    (folder / "notes.txt").touch()
    (tmp_path / "file").touch()
    for other in (folder, tmp_path / "file"):
        with pytest.raises(RecGymError, match="exists and is not a user model"):
            model().save(other)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_models_are_small_complete_and_respond(name: str) -> None:
    shipped = FittedUserModel.load(SHIPPED[name])
    config = shipped.config
    assert (config.window, config.features) == (10, 16)
    if isinstance(config, GANUserConfig):
        assert (config.weights, config.hidden, config.activation) == (4, (64,), "relu")
    elif isinstance(config, MetaUserConfig):
        assert (config.context, config.latent, config.outside) == (8, 16, "no_click")
        assert shipped.contexts["train"].shape == shipped.contexts["test"].shape == (1_000, 8)
    else:
        assert (config.cell, config.layers, config.outside) == ("lstm", 2, "end")
        assert shipped.info["meaning"].keys() == {"reward", "end"}
    assert np.isfinite(shipped.features).all()
    assert np.quantile(shipped.next_click_entropy, 0.1) >= 0.98  # as docs/user-models.md says
    assert {"train", "test"} <= shipped.members.keys()
    users = 1 if shipped.info.get("meaning") else 1_000
    assert shipped.histories["train"].shape == shipped.histories["test"].shape == (users, 10)
    assert shipped.info["licence"]
    for rate in shipped.info["random_click_rate"].values():
        assert 0.2 <= rate < (0.8 if users > 1 else 1.0)
    scores, floors = shipped.scores, shipped.scores["floors"]
    for score in ("log_likelihood", "precision_at_1", "precision_at_2"):
        assert scores[score] > floors["item_ctr"][score]
    if "support" in scores:  # what is known of a user helps to predict her
        likely = [scores["support"][known]["log_likelihood"] for known in ("0", "1", "2", "5")]
        assert likely == sorted(likely)
        assert likely[1] == scores["log_likelihood"]
    if "reward_log_likelihood" in scores:
        assert scores["reward_log_likelihood"] > floors["random"]["reward_log_likelihood"]
    for member in shipped.members.values():
        functions = functions_of(config)
        tables = functions.prepare(config, member, shipped.features)
        state = functions.initial(config, tables, shipped.histories["train"][:1].repeat(3, axis=0))
        logits, _ = functions.respond(config, tables, state, np.arange(15).reshape(3, 5))
        assert np.isfinite(logits).all()


def test_shipped_models_weigh_little_and_hold_parameters_only() -> None:
    files = [file for folder in SHIPPED.values() for file in folder.iterdir()]
    assert sum(file.stat().st_size for file in files) < 2_000_000
    names = {file.name for file in files}
    assert names == {"params.safetensors", "config.json", "scores.json"}

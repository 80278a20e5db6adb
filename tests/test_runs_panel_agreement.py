"""How alike two worlds rank the panel: by hand, of members that are equal, and on the page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym.users import SHIPPED, FittedUserModel
from recgym_agents.runs.panel_agreement import (
    PanelAgreement,
    environment_of,
    panel_agreement,
    tau_of,
)
from recgym_agents.runs.panel_section import panel_section
from recgym_agents.runs.policy_panel import PANEL
from tests.fixtures.user_model import random_user_model

KINDS: dict[str, dict[str, Any]] = {
    "gan": {},
    "recurrent": {"kind": "recurrent", "units": 8, "n_users": 1, "outside": "end"},
    "meta": {"kind": "meta", "outside": "no_click"},
}


def played(model: FittedUserModel, episodes: int = 12, seed: int = 0) -> PanelAgreement:
    clicks = np.arange(model.n_items)
    env, arguments = environment_of("made up", model)
    few = arguments | {"slate_size": 3, "horizon": 4}
    return panel_agreement(model, clicks, env, few, episodes, seed)


def test_an_interval_is_over_the_users_of_both_worlds() -> None:
    rng = np.random.default_rng(0)
    clear = np.arange(5.0) + 0.01 * rng.standard_normal((40, 5))
    found = tau_of(clear, clear[:30] + 7.0)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
    assert str(found) == "1.00 (1.00 .. 1.00)"
    unclear = 0.1 * np.arange(5.0) + rng.standard_normal((40, 5))
    noisy = tau_of(unclear, clear)
    assert noisy.low < noisy.value <= noisy.high <= 1.0
    assert noisy == tau_of(unclear, clear)
    assert noisy.low < tau_of(np.tile(unclear, (20, 1)), clear).low


@pytest.mark.parametrize("kind", KINDS)
def test_equal_members_rank_alike(kind: str) -> None:
    model = random_user_model(**KINDS[kind])
    of_train = {"train": model.members["train"], "test": model.members["train"]}
    starts = dict.fromkeys(("train", "test"), model.histories["train"])
    contexts = dict.fromkeys(model.contexts, model.contexts.get("train"))
    same = replace(model, members=of_train, histories=starts, contexts=contexts)
    found = played(same)
    expected = ["identified", "clicks"] if kind == "recurrent" else ["identified", "raw", "clicks"]
    assert list(found.values) == expected
    for first, second in found.values.values():
        np.testing.assert_array_equal(first, second)
        assert first.shape == (12, len(PANEL))
    assert [tau.value for tau in found.taus.values()] == [1.0] * len(expected)


def test_opposite_members_rank_the_other_way() -> None:
    model = random_user_model()
    params = dict(model.members["train"])
    params["reward.output"] = -params["reward.output"]
    starts = dict.fromkeys(("train", "test"), model.histories["train"])
    model = replace(model, members=model.members | {"test": params}, histories=starts)
    found = played(model, episodes=20)
    assert found.taus["clicks"].value < 0.0
    greedy, drawn = (found.by_policy()[name]["clicks"] for name in ("greedy", "random"))
    assert greedy[0] > drawn[0]
    assert greedy[1] < drawn[1]


def test_its_numbers_are_the_same_again_and_those_of_its_table() -> None:
    found, again = (played(random_user_model(), seed=3) for _ in range(2))
    assert found.summary() == again.summary()
    assert found.summary() != played(random_user_model(), seed=4).summary()
    for name, tau in found.taus.items():
        assert found.summary()[f"panel_tau_{name}"] == tau.value
        assert found.summary()[f"panel_tau_{name}_low"] == tau.low
        assert found.means[name][1][2] == found.by_policy()["rare"][name][1]


def test_the_section_says_what_was_found() -> None:
    found = played(random_user_model())
    section = panel_section(found)
    assert "RecGAN-v0 twice" in section.text
    assert "12 and 12 users" in section.text
    verdict, table, panel = section.parts
    for name, tau in found.taus.items():
        assert str(tau) in verdict
        assert f"{found.by_policy()['greedy'][name][1]:.3f}" in table
    for name, (about, _) in PANEL.items():
        assert name in table
        assert about in panel


def test_clicks_that_everybody_makes_rank_nothing() -> None:
    found = played(random_user_model(no_click=False))
    assert "clicks" not in found.taus
    assert "By click rate, no policy differs from another." in panel_section(found).parts[0]


def test_rewards_of_the_log_are_said_to_be_identified() -> None:
    section = panel_section(played(random_user_model(**KINDS["recurrent"])))
    assert "The log holds rewards" in section.parts[0]


def test_without_a_second_member_the_section_is_a_sentence() -> None:
    model = random_user_model()
    alone = replace(model, members={"train": model.members["train"]})
    with pytest.raises(RecGymError, match="no member of test users") as error:
        played(alone)
    section = panel_section(str(error.value))
    assert section.text.startswith("Not measured: the user model has no member of test users")
    assert section.parts == ()


def test_a_model_is_played_in_the_environment_of_its_kind() -> None:
    shipped = {name: FittedUserModel.load(SHIPPED[name]) for name in ("irecgan", "m3rec")}
    assert environment_of("irecgan", shipped["irecgan"]) == ("IRecGAN-v0", {})
    assert environment_of("m3rec", shipped["m3rec"]) == ("M3Rec-v0", {})
    env, arguments = environment_of("runs/mine", shipped["irecgan"])
    assert (env, arguments["user_model"]) == ("RecGAN-v0", shipped["irecgan"])
    assert environment_of("runs/mine", shipped["m3rec"])[0] == "M3Rec-v0"

"""The report of a comparison: who earns most, how sure that is, and how all have learned."""

from __future__ import annotations

from collections.abc import Sequence

from recgym_agents.runs.comparison_figures import learning_bands, seed_dots
from recgym_agents.runs.comparison_scores import Scores
from recgym_agents.runs.findings import against_plans, interval, probability, ranking
from recgym_agents.runs.html_report import Section, commands, image, said, table
from recgym_agents.runs.planned_levels import Levels
from recgym_agents.runs.standings import Standing, Unit


def comparison_sections(scores: Scores) -> list[Section]:
    """Returns the sections of the report."""
    config, ranked, unit, levels = scores.config, scores.standings, scores.unit, scores.levels
    seeds = len(config.seeds)
    users = next(iter(scores.rewards.values())).shape[1]
    parts = [
        said(ranking(ranked, unit, f"In {config.place}")),
        _table(ranked, scores.click_rates, unit, levels, _meaning(seeds, users, levels)),
    ]
    if levels is not None:
        parts.insert(1, said(against_plans(ranked[0].name, ranked[0].reward, levels)))
    return [
        Section("Result", _method(scores, users), tuple(parts)),
        _learning(scores),
        _seeds(scores, ranked),
        Section(
            "Command",
            "Given again, it keeps what is finished and goes on with the rest.",
            (commands([config.command]),),
        ),
    ]


def _method(scores: Scores, users: int) -> str:
    config = scores.config
    named = f"of {users:,} users" if users < config.episodes else "each"
    text = (
        f"{len(config.agents)} agents were trained in {config.env} with"
        f" {config.steps:,} steps, {_counted(len(config.seeds), 'seed')} each, and scored on the"
        f" same {config.episodes:,} episodes, {named} with the same random numbers for all."
    )
    if len(config.seeds) == 1:
        text += (
            " With a single seed, intervals and tests are over users or episodes alone: they do not"
            " say how much another training would change."
        )
    return text


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _meaning(seeds: int, users: int, levels: Levels | None) -> str:
    over = "seeds" if seeds > 1 else "users, or episodes where no users are named"
    text = (
        f"Marked: the highest mean. In brackets: 95% intervals over {over}. Behind: how much less"
        " than the best an agent earns, in pairs. p: how often a difference of that size would come"
        " by chance if there were none, in a two-sided paired t-test, Holm-corrected over the"
        " agents"
    )
    tests = [
        *(["over seeds, it asks whether training again would give the same order"] * (seeds > 1)),
        f"over {users:,} users or episodes, whether others like them would",
    ]
    text += f"; {'; '.join(tests)}. An agent is told apart where p is below 0.05"
    text += " in both." if seeds > 1 else "."
    if levels is not None:
        text += (
            f" The last {len(levels.named)} rows are computed from the world itself, for policies"
            " that know it and see the user's state."
        )
    return text


def _table(
    ranked: Sequence[Standing],
    click_rates: dict[str, float],
    unit: Unit,
    levels: Levels | None,
    meaning: str,
) -> str:
    tests = [
        name
        for name in ("p_seeds", "p_users")
        if any(probability(getattr(one, name)) for one in ranked)
    ]
    headings = {"p_seeds": "p, seeds", "p_users": "p, users"}
    header = [
        "agent",
        f"reward a {unit}",
        "behind",
        *(headings[name] for name in tests),
        "told apart",
        "click rate",
    ]
    rows = []
    for one in ranked:
        behind = "best" if one.behind is None else interval(one.behind)
        told = "" if one.best else "yes" if one.told_apart else "no"
        p_values = [probability(getattr(one, name)) for name in tests]
        rows.append(
            [
                one.name,
                interval(one.reward),
                behind,
                *p_values,
                told,
                f"{click_rates[one.name]:.3f}",
            ]
        )
    if levels is not None:
        header.insert(2, f"share of the {levels.best}")
        for one, row in zip(ranked, rows, strict=True):
            row.insert(2, f"{100 * one.reward.mean / levels.ahead:.0f}%")
        for name, level in levels.named.items():
            share = f"{100 * level / levels.ahead:.0f}%"
            rows.append([name, f"{level:.3f}", share, *[""] * (len(header) - 3)])
    return table("", header, rows, meaning, {(0, 1)})


def _learning(scores: Scores) -> Section:
    if scores.config.validation_episodes == 0:
        return Section("Learning", "Agents were trained without validation episodes.")
    meaning = (
        "A curve is the mean over seeds of the reward in validation episodes, which are played"
        " without exploration in the environment of training; its band goes from the lowest seed to"
        " the highest. Where bands overlap, the order depends on the seed. Level lines are agents"
        " that learn nothing, and what is computed."
    )
    figure = learning_bands(scores.metrics, scores.unit, scores.levels)
    text = "How fast each agent learns, and how much that differs between seeds."
    return Section("Learning", text, (image(figure, "learning curves", meaning),))


def _seeds(scores: Scores, ranked: Sequence[Standing]) -> Section:
    rewards = {one.name: scores.rewards[one.name].mean(axis=1) for one in ranked}
    meaning = (
        "A dot is one seed's mean over all scored episodes, a bar the mean of an agent's seeds, a"
        " diamond what is computed."
        " Agents whose dots mix are not told apart by their training."
    )
    figure = seed_dots(rewards, scores.unit, scores.levels)
    text = "What the tests over seeds see."
    return Section("Every seed", text, (image(figure, "reward of every seed", meaning),))

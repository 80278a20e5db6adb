"""Makes the tutorial's log, clicks.csv, and its items, articles.csv: a magazine and its readers.

Nothing in them is real: clicks are those of 25 readers of RecSim's world InterestExploration-v0, of
three types that differ in the topics they like, on random slates.
"""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

import gymnasium
import numpy as np

import recgym  # noqa: F401  (registers the environments)
from recgym.collection import collect, uniform_policy

READERS, PAGES, ARTICLES, SLATE = 25, 8, 30, 5
TITLES = {
    "cooking": (
        "Lentil soup", "Bread without kneading", "Five curries", "Plums in a jar", "Rice, properly",
        "A knife for life", "Soup from leftovers", "Pancakes", "Dumplings by hand", "Salt",
        "Beans on toast", "A cake a week", "Pickled onions", "Noodles at midnight",
    ),
    "garden": (
        "Tomatoes on a balcony", "Compost", "Roses in shade", "A pond in a day", "Pruning apples",
        "Seeds to save", "Slugs", "Herbs indoors", "The lazy lawn", "Bulbs for spring",
        "A hedge for birds", "Rain barrels", "Peas and poles", "Sheds",
    ),
    "travel": (
        "Night train to Lisbon", "Islands in winter", "Walking the canal", "A week by bicycle",
        "Hostels at forty", "Ferries", "Mountains by bus", "Packing light", "Two days in Ghent",
        "The slow road south", "Lighthouses", "Border towns", "Camping cars", "Maps on paper",
    ),
}  # fmt: skip
WORLD = {
    "num_candidates": ARTICLES,
    "slate_size": SLATE,
    "horizon": PAGES,
    "resample_documents": False,
    "no_click_mass": 3.0,
    "user_type_distribution": [0.4, 0.3, 0.3],
    "user_document_mean_affinity_matrix": [[1.6, 0.0, 0.0], [0.0, 1.6, 0.0], [0.0, 0.0, 1.6]],
    "user_document_stddev_affinity_matrix": [[0.1] * 3] * 3,
    "topic_distribution": [0.4, 0.3, 0.3],
    "topic_quality_mean": [0.0, 0.0, 0.0],
    "topic_quality_stddev": [0.3, 0.3, 0.3],
}


def main(folder: Path) -> None:
    """Writes both files."""
    env = gymnasium.make_vec(
        "InterestExploration-v0", num_envs=READERS, autoreset_mode="disabled", **WORLD
    )
    log = collect(env, uniform_policy(ARTICLES, SLATE), sessions=READERS, seed=0)
    observation, _ = env.reset(seed=0)
    articles = env.unwrapped.simulator.candidates(observation)[0]  # (N, 1 + topics)
    topics = articles[:, 1:].argmax(axis=1)
    rows = []
    for article, topic in enumerate(topics):
        name, number = list(TITLES)[topic], int((topics[:article] == topic).sum())
        title = TITLES[name][number]
        slug = title.lower().replace(",", "").replace(" ", "-")
        words = 300 + 100 * int(4 * articles[article, 0])  # readers like long ones
        rows.append((slug, title, name, words))
    write(folder / "articles.csv", ("article", "title", "topic", "words"), rows)

    rng = np.random.default_rng(0)
    slates = log.padded_slates()
    pages = []
    for reader in range(READERS):
        time = datetime.datetime(2026, 3, 2, 18) + datetime.timedelta(
            minutes=int(rng.integers(6 * 24 * 60))
        )
        for page in np.flatnonzero(log.user == reader):
            pause = int(rng.integers(20, 400))
            if log.step[page] == PAGES // 2:  # she comes back another day
                pause += 60 * int(rng.integers(10 * 60, 80 * 60))
            time += datetime.timedelta(seconds=pause)
            shown = [rows[article][0] for article in slates[page]]
            clicked = "" if log.click[page] < 0 else shown[log.click[page]]
            pages.append((time.isoformat(), f"r{1041 + 7 * reader}", "|".join(shown), clicked))
    write(folder / "clicks.csv", ("shown_at", "reader", "articles", "clicked"), sorted(pages))


def write(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Writes a table as CSV."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main(Path(__file__).parent)

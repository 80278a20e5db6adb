"""Made-up names for items that no log names: topics, and titles in them."""

from __future__ import annotations

TOPICS = (
    "Jazz", "Football", "Cooking", "Space", "Travel", "Chess", "History", "Gardening", "Cinema",
    "Robots", "Cycling", "Painting", "Wildlife", "Fashion", "Oceans", "Poetry", "Trains", "Magic",
    "Finance", "Volcanoes", "Tennis", "Pottery", "Weather", "Opera",
)  # fmt: skip
FORMS = (
    "live", "in depth", "stories", "at night", "for beginners", "weekly", "revisited", "diary",
    "on tour", "behind the scenes", "masterclass",
)  # fmt: skip


def topic_names(count: int) -> tuple[str, ...]:
    """Returns names of topics; those beyond the list are numbered, such as "Topic 25"."""
    numbered = (f"Topic {number}" for number in range(len(TOPICS) + 1, count + 1))
    return (*TOPICS[:count], *numbered)


def made_up_title(kind: str, item: int) -> str:
    """Returns a title of an item, such as "Jazz live 11": the same for the same kind and id."""
    return f"{kind} {FORMS[item % len(FORMS)]} {item}"

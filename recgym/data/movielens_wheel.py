"""MovieLens 100K, out of the wheel of a package that ships it as an example."""

from __future__ import annotations

from pathlib import Path

from recgym.data.wheels import Wheel, fetch

WHEEL = Wheel(
    data="MovieLens 100K",
    requirement="recbole==1.2.1",
    file="recbole-1.2.1-py3-none-any.whl",
    sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    folder="recbole/dataset_example/ml-100k/",
)
FILES = ("ml-100k.inter", "ml-100k.item")


def fetch_movielens_100k(
    instead: str = "name a folder that holds MovieLens with --path",
) -> Path:
    """Returns a folder with MovieLens 100K, downloading it (2 MB) the first time, see ``fetch``.

    Args:
        instead: what an error says that one can do without the download.

    Raises:
        RecGymError: the download failed, or is not the file expected.
    """
    return fetch(WHEEL, FILES, "ml-100k", instead)

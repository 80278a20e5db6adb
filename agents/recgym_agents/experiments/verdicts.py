"""How a claim is judged: reproduced, contradicted or inconclusive, from paired differences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recgym.arrays import Array
from recgym.metrics import detectable_difference, holm, mean_and_error, paired_bootstrap, paired_t
from recgym_agents.experiments.experiment import Claim, Verdict
from recgym_agents.experiments.results_report import p_text

LEVEL = 0.05
"""Of the tests of a page, where it does not say another one."""


@dataclass(frozen=True)
class Difference:
    """A mean that is above 0 if a claim holds, and what the tests of it said."""

    mean: float
    low: float
    high: float
    """Interval of the mean, of the confidence that the page's correction leaves to one claim."""
    p_for: float
    """That it is not above 0, corrected: the largest p-value of all tests that must agree."""
    p_against: float
    """That it is not below 0, corrected."""
    detectable: float
    """The smallest true difference that the design finds four times in five."""


def differences(pairs: Sequence[tuple[Array, Array]], level: float = LEVEL) -> list[Difference]:
    """Tests a family of claims that one method is above another, over seeds, worlds or divisions.

    Each is a two-sided paired t-test with Holm's correction. The intervals, and the difference that
    could be detected, are those of the strictest step of that correction: ``level`` over the number
    of claims.

    Args:
        pairs: of each claim, (S,) values of ours and theirs, paired by seed.
        level: of the family.
    """
    p_values = holm(np.array([paired_t(*pair) for pair in pairs]))
    own = level / len(pairs)
    found = []
    for (ours, theirs), p in zip(pairs, p_values.tolist(), strict=True):
        gain = mean_and_error(np.asarray(ours) - theirs, 1.0 - own)
        detectable = detectable_difference(gain.standard_error, gain.n - 1, own)
        found.append(Difference(gain.mean, gain.low, gain.high, p, p, detectable))
    return found


def p_of_the_contrary(ours: Array, theirs: Array) -> float:
    """Returns the one-sided p-value of "ours is not worse", 1 where ours is no worse in the mean.

    A paired bootstrap over values (pages, sessions), as ``paired_bootstrap`` is for "not better".
    """
    lower = float(np.mean(ours)) < float(np.mean(theirs))
    return paired_bootstrap(theirs, ours) if lower else 1.0


def judge(found: Difference, level: float = LEVEL, claimed: float | None = None) -> Verdict:
    """Judges a claim that a difference is above 0.

    Reproduced: it is, and every test says so. Contradicted: it is significantly below 0, or its
    interval excludes a difference as large as the paper's. Inconclusive: neither.

    Args:
        found: the difference.
        level: below which a p-value is significant.
        claimed: the paper's difference, where the paper gives one that can be compared.
    """
    if found.mean > 0.0 and found.p_for < level:
        return "reproduced"
    if found.mean < 0.0 and found.p_against < level:
        return "contradicted"
    return "contradicted" if claimed is not None and found.high < claimed else "inconclusive"


def judge_bound(low: float, high: float, bound: float) -> Verdict:
    """Judges a claim that a value is at least ``bound``, by an interval of that value."""
    if low >= bound:
        return "reproduced"
    return "contradicted" if high < bound else "inconclusive"


def judge_all(verdicts: Iterable[Verdict]) -> Verdict:
    """Judges a statement of several parts: all must hold, and one that is contradicted is enough.

    >>> judge_all(["reproduced", "inconclusive"]), judge_all(["contradicted", "inconclusive"])
    ('inconclusive', 'contradicted')
    """
    found = set(verdicts)
    if "contradicted" in found:
        return "contradicted"
    return "reproduced" if found == {"reproduced"} else "inconclusive"


def limit(verdict: Verdict, detectable: str) -> str:
    """Returns what evidence says of a claim that stays open: what could have been detected.

    >>> limit("inconclusive", "0.2 clicks"), limit("reproduced", "0.2 clicks")
    ('; detectable: 0.2 clicks', '')
    """
    return f"; detectable: {detectable}" if verdict == "inconclusive" else ""


def claim_of(text: str, found: Difference, evidence: str, level: float, unit: str) -> Claim:
    """Judges that a difference is above 0, and says by how much.

    Args:
        text: the claim.
        found: the difference.
        evidence: what is said before its numbers, if anything.
        level: below which a p-value is significant.
        unit: of the difference, such as "a session".
    """
    verdict = judge(found, level)
    numbers = f"{found.mean:+.3f} ({found.low:+.3f} .. {found.high:+.3f}), {p_text(found.p_for)}"
    said = "; ".join(filter(None, (evidence, numbers)))
    return Claim(text, verdict, said + limit(verdict, f"{found.detectable:.3f} {unit}"))


def claim_bound(text: str, values: Array, bound: float, sign: float = 1.0) -> Claim:
    """Judges that a mean over seeds is at least a bound, by its 95% interval.

    Args:
        text: the claim.
        values: by seed (S,).
        bound: of the mean.
        sign: -1 if it is to be at most the bound.

    >>> claim_bound("more than half", np.array([0.7, 0.8, 0.75]), 0.5).evidence
    '0.75 (95% 0.6258 .. 0.8742)'
    """
    found = mean_and_error(values)
    ends = sorted((sign * found.low, sign * found.high))
    verdict = judge_bound(ends[0], ends[1], sign * bound)
    evidence = f"{found.mean:.4g} (95% {found.low:.4g} .. {found.high:.4g})"
    detectable = detectable_difference(found.standard_error, found.n - 1)
    return Claim(text, verdict, evidence + limit(verdict, f"{detectable:.2g} from the bound"))


Compared = tuple[str, str, Array, Array]
"""Names of two, and a number of each by seed."""


def claim_above(text: str, pairs: Sequence[Compared]) -> Claim:
    """Judges that the first is above the second in each of the pairs, as one family of tests.

    >>> ours, theirs = np.array([0.5, 0.6, 0.4]), np.array([0.1, 0.3, 0.0])
    >>> claim_above("a is above b", [("a", "b", ours, theirs)]).evidence
    'a 0.500, b 0.133 (+0.223 .. +0.510, p .008)'
    """
    found = differences([(ours, theirs) for _, _, ours, theirs in pairs])
    verdict = judge_all([judge(one) for one in found])
    evidence = "; ".join(
        f"{a} {ours.mean():.3f}, {b} {theirs.mean():.3f}"
        f" ({one.low:+.3f} .. {one.high:+.3f}, p {p_text(one.p_for)})"
        for (a, b, ours, theirs), one in zip(pairs, found, strict=True)
    )
    detectable = max(one.detectable for one in found)
    return Claim(text, verdict, evidence + limit(verdict, f"{detectable:.2g}"))

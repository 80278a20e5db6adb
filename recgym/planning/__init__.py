"""Planning in a world whose state and users are known: yardsticks for those who know neither."""

from recgym.planning.planner import Planner, PlannerConfig

__all__ = ["Planner", "PlannerConfig"]

"""The papers' tables and figures as declared experiments; ``recgym reproduce`` runs them."""

from __future__ import annotations

from recgym.lookup import Registry
from recgym_agents.experiments.experiment import Experiment

EXPERIMENTS: Registry[Experiment] = Registry(
    "experiment",
    {
        name: f"recgym_agents.experiments.{module}:EXPERIMENT"
        for name, module in (
            ("user-models", "gan.user_models"),
            ("gan-table1", "gan.model_table"),
            ("regularizers", "gan.regularizers"),
            ("recgan-tuning", "gan.tuning"),
            ("recgan-policies", "gan.policies"),
            ("gan-table3", "gan.table_3"),
            ("recgan-headroom", "gan.headroom"),
            ("gan-fig3", "gan.categories"),
            ("figure-5", "gan.figure_5"),
            ("gan-fig6", "gan.figure_6"),
            ("irecgan-fig2", "irecgan.figure_2"),
            ("irecgan-fig3", "irecgan.figure_3"),
            ("irecgan-table1", "irecgan.table_1"),
            ("click-likelihood", "irecgan.click_likelihood"),
            ("m3rec-recovery", "m3rec.recovery"),
            ("m3rec-tastes", "m3rec.opposite_tastes"),
            ("m3rec-table1", "m3rec.new_users_table"),
            ("m3rec-support", "m3rec.sequences_of_support"),
            ("m3rec-table2", "m3rec.table_2"),
            ("sb3", "worlds.sb3"),
            ("worlds", "worlds.board"),
            ("board", "worlds.whole_board"),
            ("slate-mdp", "worlds.slate_mdp_board"),
            ("slateq", "worlds.slateq_table"),
            ("transfer", "worlds.transfer"),
            ("offline-to-online", "offline.offline_to_online"),
            ("ope-coverage", "offline.ope_coverage"),
            ("lpi-table1", "offline.lpi_table_1"),
            ("lpi-table3", "offline.lpi_table_3"),
            ("lpi-fig2", "offline.lpi_figure_2"),
            ("sqn-table", "offline.sqn_table"),
            ("hidden-interests", "m3rec.hidden_interests"),
        )
    },
    lambda found: isinstance(found, Experiment),
)
"""The experiments by name; each is imported when it is asked for."""

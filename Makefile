# Two commands on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
DEMO := runs/demo
DEMO_STEPS := 30000
BASELINES := random popularity user-greedy
SCRIPT = OMP_NUM_THREADS=1 $(BIN)/python scripts

.PHONY: install test demo docs shipped benchmark recipes clean FORCE
.SECONDARY:

install: $(INSTALLED)

# torch first and by itself, so that a CPU build offered beside the default one is the one taken.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(PYTHON) is not Python 3.11+: run make PYTHON=/path/to/python3"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt setuptools wheel torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e '.[agents,data,minari,sb3,dev]'
	@touch $@

test: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q

# The whole chain on MovieLens 100K. A step that is done is not done again; training resumes.
demo: $(DEMO)/report.html
	@echo "open $(DEMO)/report.html"

$(DEMO)/data/info.json: | $(INSTALLED)
	$(SCRIPT)/prepare.py movielens --out $(@D)

$(DEMO)/user-model/params.safetensors: $(DEMO)/data/info.json
	$(SCRIPT)/fit.py --data $(<D) --model gan-pw --out $(@D)

$(DEMO)/RecGAN-v0/%/0/DONE: $(DEMO)/user-model/params.safetensors
	@test $(@D)/config.json -nt $< || rm -rf $(@D)
	$(SCRIPT)/train.py --env RecGAN-v0 --user-model $(<D) --agent $* --steps $(DEMO_STEPS) --seed 0 --out $(@D)

# Every agent is scored in the model it learned from, and in the one of other users.
$(DEMO)/report.html: $(foreach agent,$(BASELINES) cascading-dqn,$(DEMO)/RecGAN-v0/$(agent)/0/DONE)
	$(SCRIPT)/report.py $(^D) --data $(DEMO)/data --user-model $(DEMO)/user-model --out $@

# The pages that are made from docstrings, and their pictures.
docs: install
	$(BIN)/python -m recgym.environment_docs

# The user models that come with the package.
shipped: install
	$(SCRIPT)/prepare.py movielens --out data/ml-100k
	$(SCRIPT)/fit.py --data data/ml-100k --model gan-pw --bags 5 --double --out recgym/users/shipped/recgan
	$(SCRIPT)/fit.py --data data/ml-100k --model gan-lstm --double --out recgym/users/shipped/recgan-lstm
	$(SCRIPT)/prepare.py movielens --low-ratings click --rewards five-stars --session-gap 30 --page-size 10 \
		--out data/ml-100k-sessions
	$(SCRIPT)/fit.py --data data/ml-100k-sessions --model irecgan-lstm --double --out recgym/users/shipped/irecgan

benchmark: install
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e '.[peers]'
	$(BIN)/python scripts/benchmark.py

# Other libraries, each in an environment of its own; minutes each, so not a part of `make test`.
RECIPES := $(patsubst scripts/recipes/with_%.py,%,$(wildcard scripts/recipes/with_*.py))

recipes: install
	-$(MAKE) --keep-going $(RECIPES:%=runs/recipes/%.json)
	$(SCRIPT)/recipe_table.py

.venv-recipes/%/.installed: scripts/recipes/requirements/%.txt setup.cfg
	$(PYTHON) -m venv .venv-recipes/$*
	.venv-recipes/$*/bin/python -m pip install --quiet -r $< 'setuptools>=77' wheel
	.venv-recipes/$*/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

runs/recipes/%.json: .venv-recipes/%/.installed FORCE
	@rm -f $@
	OMP_NUM_THREADS=1 .venv-recipes/$*/bin/python scripts/recipes/with_$*.py --out $@

clean:
	rm -rf .venv .venv-recipes build dist recgym.egg-info

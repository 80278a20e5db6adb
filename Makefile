# Two commands on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
DEMO := runs/demo
DEMO_STEPS := 30000
PLANNING_STEPS := 14000
BASELINES := random popularity user-greedy
# In a world where what is clicked now lowers what comes later; "myopic" is cascading-dqn, not looking ahead.
PLANNERS := random popularity myopic cascading-dqn
RECGYM := $(BIN)/recgym

.PHONY: install test demo docs site shipped benchmark recipes clean FORCE
.SECONDARY:

install: $(INSTALLED)

# torch first and by itself, so that a CPU build offered beside the default one is the one taken.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(PYTHON) is not Python 3.11+: run make PYTHON=/path/to/python3"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt setuptools wheel torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e '.[agents,data,minari,render,sb3,docs,dev]'
	@touch $@

test: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -q

# The whole chain on MovieLens 100K. A step that is done is not done again; training resumes.
demo: $(DEMO)/report.html
	@echo "open $(DEMO)/report.html"

$(DEMO)/data/info.json: | $(INSTALLED)
	$(RECGYM) prepare movielens --out $(@D)

$(DEMO)/user-model/params.safetensors: $(DEMO)/data/info.json
	$(RECGYM) fit --data $(<D) --model gan-pw --out $(@D)

$(DEMO)/RecGAN-v0/%/0/DONE: $(DEMO)/user-model/params.safetensors
	@test $(@D)/config.json -nt $< || rm -rf $(@D)
	$(RECGYM) train --env RecGAN-v0 --user-model $(<D) --agent $* --steps $(DEMO_STEPS) --seed 0 --out $(@D)

$(DEMO)/KnownUsers-v0/%/0/DONE: AGENT = $*
$(DEMO)/KnownUsers-v0/myopic/0/DONE: AGENT = cascading-dqn --agent-args discount=0

$(DEMO)/KnownUsers-v0/%/0/DONE: | $(INSTALLED)
	$(RECGYM) train --env KnownUsers-v0 --agent $(AGENT) --steps $(PLANNING_STEPS) --seed 0 --out $(@D)

# Every agent is scored in the model it learned from, and in the one of other users.
$(DEMO)/report.html: $(foreach agent,$(BASELINES) cascading-dqn,$(DEMO)/RecGAN-v0/$(agent)/0/DONE) \
		$(foreach agent,$(PLANNERS),$(DEMO)/KnownUsers-v0/$(agent)/0/DONE)
	$(RECGYM) report $(^D) --data $(DEMO)/data --user-model $(DEMO)/user-model --out $@

# The pages that are made from docstrings, and their pictures.
docs: install
	$(BIN)/python -m recgym.environment_docs
	$(BIN)/python -m recgym_agents.agent_docs
	$(BIN)/python -m recgym_agents.command_docs

# The documentation as a website; a warning is an error.
site: install
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx --conf-dir docs --fail-on-warning --keep-going --jobs auto --quiet . build/site
	@echo "open build/site/index.html"

# The user models that come with the package.
shipped: install
	$(RECGYM) prepare movielens --out data/ml-100k
	$(RECGYM) fit --data data/ml-100k --model gan-pw --bags 5 --double --out recgym/users/shipped/recgan
	$(RECGYM) fit --data data/ml-100k --model gan-lstm --double --out recgym/users/shipped/recgan-lstm
	$(RECGYM) prepare movielens --low-ratings click --rewards five-stars --session-gap 30 --page-size 10 \
		--out data/ml-100k-sessions
	$(RECGYM) fit --data data/ml-100k-sessions --model irecgan-lstm --double --out recgym/users/shipped/irecgan
	$(RECGYM) prepare movielens --page-size 10 --out data/ml-100k-pages
	$(RECGYM) fit --data data/ml-100k-pages --model m3rec --double --out recgym/users/shipped/m3rec

benchmark: install
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e '.[peers,xgboost]'
	$(BIN)/python scripts/benchmark.py

# Other libraries, each in an environment of its own; minutes each, so not a part of `make test`.
RECIPES := $(patsubst scripts/recipes/with_%.py,%,$(wildcard scripts/recipes/with_*.py))

recipes: install
	-$(MAKE) --keep-going $(RECIPES:%=runs/recipes/%.json)
	$(BIN)/python scripts/recipe_table.py

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

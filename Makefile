# Every target first makes .venv with the exact versions of constraints.txt.
PYTHON ?= python3
CONFIG ?= config/config.yaml
CORES ?= all
FUZZ ?= 600
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := $(BIN)/snakemake --configfile config/demo.yaml

.PHONY: demo test test-long fuzz test-slurm test-slurm-demo lint docs report bench bench-gpu bench-coverage

demo: $(READY)
# Small jobs run side by side rather than share cores.
	$(DEMO) --cores $(CORES) --max-threads 1
	$(DEMO) --report results/demo/report.html
	$(BIN)/python scripts/print_headline.py results/demo covariates
# The page just made, in a browser; skipped without Chromium.
	$(BIN)/pytest -rs tests/page/test_browser.py -k demos

# One thread each: tests are small, and threads that share cores wait for one another.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4

test: $(READY)
	$(PYTEST) -m 'not slow and not slurm'

test-long: $(READY)
# Whole runs, with faults in them, and hostile input of every kind.
	$(PYTEST) -m 'slow and not slurm'

fuzz: $(READY)
# For FUZZ seconds other tries of every kind of file, with a count at the end, and beside them the
# hostile rows, those too that take longer.
	MTM_FUZZ=$(FUZZ) OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal --timeout 3600 tests/hostile

test-slurm: $(READY)
# A real Slurm of two nodes; without Debian's slurm-wlm and munge these are skipped.
	$(BIN)/pytest -m 'slurm and not demo' -rs tests/workflow/test_slurm.py

test-slurm-demo: $(READY)
	$(BIN)/pytest -m 'slurm and demo' -rs tests/workflow/test_slurm.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint
	$(DEMO) --lint

# The site, docs/_build/html; cells run on the results of `make demo`, or on those of DEMO_RESULTS=FOLDER.
docs: $(VENV)/.docs
	$(BIN)/sphinx-build --jobs auto --fail-on-warning --keep-going --fresh-env -b html docs docs/_build/html
	$(BIN)/pytest -rs tests/page/test_site.py

report: $(READY)
	$(BIN)/snakemake --configfile $(CONFIG) --report results/report.html

bench: $(READY)
	for script in bench/bench_*.py; do $(BIN)/python $$script || exit 1; done

bench-gpu: $(READY)
# With a card, nine minutes at most; results/bench_gpu/gpu.md grows part by part.
	$(BIN)/python -m bench.gpu results/bench_gpu

bench-coverage: $(READY)
	$(BIN)/python -m bench.calibration

$(VENV)/.docs: $(READY)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version.split()[0] + "; name one with make PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[workflow,cluster,test]'
	@touch $@

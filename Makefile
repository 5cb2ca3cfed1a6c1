# Needs Python 3.11 or later, make and a package registry. Everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Tests start many processes. Without bytecode files each would compile the package again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo baseline test test-slow check format bench lock lowest docs clean

demo: $(STAMP)  ## A paired experiment in under four minutes: does a spike guard help when data are bad?
	$(BIN)/trimtab run configs/demo.yaml --out demo

baseline: $(STAMP)  ## Train the default model on the embedded corpus for about three minutes
	$(BIN)/trimtab baseline --out runs/baseline

test: $(STAMP)  ## The fast tests, in minutes; two processes whose idle threads do not slow each other down
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2

test-slow: $(STAMP)  ## Kills, real sizes, notebooks
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -m slow -n 2 --dist loadfile

check: $(STAMP)  ## Lint, types, layers, generated pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -P -m trimtab.cli.reference --check docs/config.md

format: $(STAMP)  ## Fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## Speed against a straightforward loop and the peer's recipe; many minutes, on an idle machine
	$(BIN)/trimtab bench
	$(BIN)/trimtab bench tasks

docs: $(STAMP)  ## Generate docs/config.md
	$(BIN)/python -P -m trimtab.cli.reference docs/config.md

lock:  ## Renew constraints.txt: the newest versions that pyproject.toml allows
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet -e '.[dev]'
	.venv-lock/bin/python -P -m trimtab.cli.constraints > constraints.txt.new
	mv constraints.txt.new constraints.txt
	rm -rf .venv-lock

LOWEST_TESTS := tests/search tests/records tests/config tests/evidence tests/reports tests/boundary tests/cli/test_commands.py \
	tests/cli/test_looking.py tests/cli/test_evidence.py tests/cli/test_models.py tests/data/tasks/hub tests/data/tokenizers \
	tests/training/loop/test_golden.py tests/models/pretrained/test_loading.py tests/models/pretrained/test_adaptation.py \
	tests/models/pretrained/test_saving.py tests/models/pretrained/test_chat.py

lowest: $(STAMP)  ## Tests of what uses each dependency, with the lowest versions that pyproject.toml allows
	rm -rf .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	$(BIN)/python -P -m trimtab.cli.constraints --lowest > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet -c .venv-lowest/lowest.txt \
		-e '.[pretrained,search,tasks,tensorboard]' beartype hypothesis ioh packaging pytest pytest-timeout
	OMP_WAIT_POLICY=PASSIVE .venv-lowest/bin/python -m pytest -o filterwarnings=default $(LOWEST_TESTS)
	rm -rf .venv-lowest

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Trimtab needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

clean:  ## Remove what was built, not the runs
	rm -rf .venv .venv-lock .venv-lowest build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# make demo          deploy the CIFAR-10 example and stream its test frames, reports in build/demo; SYNTH=1 synthesizes too
# make test          run the tests
# make test-all      the slow ones, too: hours
# make check         lint, format, types, import contracts and the fast tests: under a minute
# make docs          the documentation as a site, in build/site
# make dist          the wheel and the source archive, checked, in dist/
# make clean         remove what these two have made
# PYTHON=python3.12  the Python that .venv is made with
# PYNQ_PYTHON=...    the one for the tests with pynq, Python 3.10 to 3.12
PYTHON ?= python3
PYNQ_PYTHON ?= $(PYTHON)
VENV := .venv
BIN := $(VENV)/bin
MODEL := models/cifar10_64x3
MODEL_FILE := model_log2
DEMO := build/demo

# Side by side: as many as there are cores, but each has the memory of a process with onnxruntime.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

.PHONY: demo test test-all check docs dist clean pynq pynq-environments

demo: $(VENV)/.deploy-installed
	mkdir -p $(DEMO)
	$(BIN)/lognet-deploy $(MODEL)/$(MODEL_FILE).onnx --calibrate $(MODEL)/calibration_frames.npz \
	    --frames $(MODEL)/test_frames.npz --out $(DEMO) $(if $(filter-out 0,$(SYNTH)),--synth) >$(DEMO)/deploy.txt
	$(BIN)/lognet-stream $(DEMO)/$(MODEL_FILE).lognet --frames $(MODEL)/test_frames.npz >$(DEMO)/stream.txt
	@$(BIN)/python $(MODEL)/demo.py $(DEMO)/deploy.txt $(DEMO)/stream.txt $(DEMO)/$(MODEL_FILE).lognet

test: $(VENV)/.test-installed pynq
	$(PYTEST)

test-all: $(VENV)/.test-installed pynq
	$(PYTEST) -m "slow or not slow"

check: $(VENV)/.test-installed
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/python -m pytest --quiet tests/test_layers.py tests/engines/bram tests/fabric tests/ir tests/numerics tests/partition

docs: $(VENV)/.docs-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

dist: $(VENV)/.dist-installed
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*

$(VENV)/.%-installed: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[$*]"
	touch $@

# The driver's tests run with the pynq of three images, which cannot share an environment with each other or with .venv.
# Where pynq cannot be installed they are skipped; where CI=true, a skip would hide a broken install.
pynq: | $(BIN)/pip
	@$(MAKE) --silent --no-print-directory pynq-environments >$(VENV)/pynq.log 2>&1 || \
	    if test "$$CI" = true; then cat $(VENV)/pynq.log >&2; exit 1; \
	    else echo "note: the tests with pynq are skipped, see $(VENV)/pynq.log: $$(grep -im1 error $(VENV)/pynq.log)"; fi

pynq-environments: .venv-pynq30/.installed .venv-pynq31/.installed .venv-pynq40/.installed

.venv-pynq%/.installed: tests/board/requirements-pynq%.txt
	@$(PYNQ_PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))" || \
	    { echo "error: pynq needs Python 3.10 to 3.12; choose one with make test PYNQ_PYTHON=..." >&2; exit 1; }
	rm -rf .venv-pynq$*
	$(PYNQ_PYTHON) -m venv .venv-pynq$*
	.venv-pynq$*/bin/pip install --quiet --disable-pip-version-check "setuptools<=80" wheel
	.venv-pynq$*/bin/pip install --quiet --disable-pip-version-check --no-build-isolation -r $<
	touch $@

$(BIN)/pip:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10))" || \
	    { echo "error: $(PYTHON) is missing or older than Python 3.10; choose another with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c "import venv, ensurepip" || \
	    { echo "error: $(PYTHON) lacks venv or ensurepip; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .venv-pynq30 .venv-pynq31 .venv-pynq40 $(DEMO)

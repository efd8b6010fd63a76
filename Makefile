# SPDX-License-Identifier: GPL-3.0-or-later
#
# From a clone to a running demo. `make help` lists the targets; every one takes no input and is safe to repeat.
# What has been done leaves a stamp in .venv/stamps, and is done again when a file it depends on changes.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

ifneq ($(words $(CURDIR)),1)
$(error GNU Radio's CMake files cannot take spaces in a path: move this folder out of "$(CURDIR)")
endif

VENV := .venv
# Not build/, which belongs to the classic road with its own prefix and interpreter.
BUILD := .build
PYTHON := $(VENV)/bin/python
STAMPS := $(VENV)/stamps
TYPES := $(VENV)/types

DEMO_ARGS ?=
PYTEST_ARGS ?=
# Test processes: three or four. Some tests wait for a clock or another process: on two cores three end a fifth sooner.
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ "$$n" -ge 4 ] && echo 4 || echo 3)
GRC_FILES ?= examples/loopback.grc
BOARD_CHECK_ARGS ?=
GOLDEN_ARGS ?=
FUZZ_ARGS ?= -max_total_time=600
FUZZ_FILES_ARGS ?= --seconds=600

export DEBIAN_FRONTEND := noninteractive
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# Tests start Python some hundred times: it keeps what it has compiled, though the machine's owner may not want it to.
export PYTHONDONTWRITEBYTECODE :=
# ONNX Runtime reports to its maker unless told not to, whatever imports it.
export ORT_DISABLE_TELEMETRY := 1

say = @printf '== %s\n'
headless = PATH="$(CURDIR)/$(VENV)/bin:$$PATH" QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1

# Everything CMake installs. An environment that was moved, or whose Python the distribution replaced, is made anew.
SOURCES := $(shell find src python grc models examples apps cmake CMakeLists.txt -type f \
  ! -path '*/__pycache__/*' ! -name '*.py[co]' 2>/dev/null | sort)
# Pages, and what else they lead to.
PAGES := $(shell find docs benchmarks recipes requirements *.md LICENSE -type f \
  ! -path '*/__pycache__/*' ! -name '*.py[co]' 2>/dev/null | sort)
CMAKE_FILES := $(filter %CMakeLists.txt %.cmake %.in cmake/%,$(SOURCES))
IDENTITY = $(CURDIR) $$(readlink -f $(PYTHON))
STALE := $(shell [ ! -f $(STAMPS)/venv ] || [ "$$(cat $(STAMPS)/venv)" = "$(IDENTITY)" ] || echo FORCE)

.PHONY: help setup demo test test-long golden lint docs board-check fuzz grc display train-setup rtl-check synth wheel clean distclean FORCE

help: ## list the targets; times are of two cores, downloads apart
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(STAMPS)/module ## install what is missing and the module, into .venv, without PyTorch (1 minute)
	$(say) "ready: $(VENV)/bin has amrq, grcc and the python for flowgraphs; make grc opens the Companion"

demo: $(STAMPS)/module ## classify simulated and recorded signals (half a minute); DEMO_ARGS="--help" for its options
	$(say) "running the demo"
	@$(headless) $(PYTHON) examples/headless.py $(DEMO_ARGS)
	$(say) "what is on the air: a simulated band, every emission found"
	@$(headless) $(PYTHON) examples/scan_scene.py

test: lint $(STAMPS)/module docs ## lint, types, documentation, tests, QA of the blocks among them (9 minutes); PYTEST_ARGS="-k demo" for some
	$(say) "tests: pytest, $(JOBS) processes; what is skipped is listed at the end, and when the long ones last passed"
	@$(headless) $(PYTHON) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -rs -m "not long" $(PYTEST_ARGS)

test-long: $(STAMPS)/module $(STAMPS)/train $(STAMPS)/test ## the tests marked long (5 minutes); if all pass, tests/long_tests.json says when
	$(say) "long tests: pytest, $(JOBS) processes"
	@$(headless) $(PYTHON) -m pytest -n $(JOBS) -rs -m long --record-long tests/long_tests.json $(PYTEST_ARGS)

golden: $(STAMPS)/module $(STAMPS)/train $(STAMPS)/test ## record the golden file of behaviour anew (1 minute); GOLDEN_ARGS="--check" only compares
	$(say) "recording what the library and the command answer: tests/golden/data"
	@$(headless) $(PYTHON) tests/golden/record.py $(GOLDEN_ARGS)

# Types must hold under the declarations of both NumPys, whichever is here: NumPy 2's come to a folder of their own.
lint: $(STAMPS)/train $(STAMPS)/types ## ruff and mypy
	$(say) "style: ruff"
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	$(say) "types: mypy; beside it as NumPy 2 and PyQt declare theirs"
	@mkdir -p $(BUILD); if [ "$$(cat $(STAMPS)/numpy)" = 2 ]; then $(PYTHON) -m mypy; else \
	  $(PYTHON) -m mypy --python-executable $(TYPES)/bin/python --cache-dir .mypy_cache/numpy-2 > $(BUILD)/mypy.log 2>&1 & \
	  other=$$!; $(PYTHON) -m mypy; found=$$?; wait $$other || { found=1; cat $(BUILD)/mypy.log; }; exit $$found; fi

board-check: $(STAMPS)/module $(STAMPS)/train ## a board against this machine on 100,000 chunks, and 10,000 connects; BOARD_CHECK_ARGS="--help"
	$(say) "a board against this machine (half an hour)"
	@$(headless) $(PYTHON) benchmarks/board_check.py $(BOARD_CHECK_ARGS)

fuzz: $(STAMPS)/fuzz $(STAMPS)/train ## ten minutes of atheris on the board's messages, ten of mutated files of every kind; FUZZ_ARGS, FUZZ_FILES_ARGS
	$(say) "fuzzing the board's messages"
	@mkdir -p $(BUILD)/fuzz && cd $(BUILD)/fuzz && PYTHONPATH="$(CURDIR)/src:$(CURDIR)/tests" \
	  "$(CURDIR)/$(PYTHON)" "$(CURDIR)/tests/link/fuzz_board.py" $(FUZZ_ARGS)
	$(say) "mutated files of every kind"
	@cd $(BUILD)/fuzz && PYTHONPATH="$(CURDIR)/src:$(CURDIR)/tests" OMP_NUM_THREADS=1 \
	  "$(CURDIR)/$(PYTHON)" "$(CURDIR)/tests/files/fuzz_files.py" $(FUZZ_FILES_ARGS)

docs: $(BUILD)/docs.built ## build the documentation, .build/docs/index.html; a warning is an error

grc: display $(STAMPS)/module ## open GNU Radio Companion with the module; GRC_FILES="..." for other flowgraphs
	@scripts/system_packages --companion
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" \
	  GRC_BLOCKS_PATH="$(CURDIR)/$(VENV)/share/gnuradio/grc/blocks$${GRC_BLOCKS_PATH:+:$$GRC_BLOCKS_PATH}" \
	  $(PYTHON) "$$(command -v gnuradio-companion)" $(GRC_FILES)

display:
	@[ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || { echo "make grc: there is no display to open a window on." >&2; exit 1; }

train-setup: $(STAMPS)/train ## PyTorch as well, for amrq train

RTL_MODELS ?= coherent-small-int4 coherent-small-int8 coherent-full-int4
RTL_ARGS ?=

rtl-check: $(STAMPS)/train ## simulate generated hardware on 10,000 chunks a model (Verilator); RTL_MODELS="..."
	$(say) "hardware against the integer reference: docs/hardware/cosimulation.csv"
	@PYTHONPATH=src OMP_NUM_THREADS=1 $(PYTHON) benchmarks/rtl_check.py $(RTL_ARGS) $(RTL_MODELS)

synth: $(STAMPS)/train ## synthesise generated hardware (Yosys); RTL_ARGS="--target ecp5" for place and route
	$(say) "synthesis: docs/hardware/synthesis.csv"
	@PYTHONPATH=src OMP_NUM_THREADS=1 $(PYTHON) benchmarks/rtl_synthesis.py $(RTL_ARGS) $(RTL_MODELS)

wheel: $(STAMPS)/live ## the library and the command as a wheel, for machines without GNU Radio: dist/*.whl
	$(say) "building a wheel"
	@rm -f dist/*.whl
	@$(PYTHON) -m pip wheel -q --no-deps -w dist . && ls dist/*.whl

clean: ## remove what building, testing and the demo wrote; .venv stays
	@rm -rf $(BUILD) dist demo-results .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## remove .venv and build/ as well
	@rm -rf $(VENV) build

# --- the steps -------------------------------------------------------------------------------------------------------

$(STAMPS)/venv: $(STALE)
	$(say) "system packages"
	@scripts/system_packages
	@python=$$(scripts/find_gnuradio_python) && rm -rf $(VENV) $(BUILD) && \
	  printf '== %s\n' "virtual environment $(VENV), on $$python" && \
	  "$$python" -m venv --system-site-packages $(VENV)
	@mkdir -p $(@D)
	@$(PYTHON) scripts/numpy_limit.py > $(STAMPS)/numpy
	@echo "$(IDENTITY)" > $@

# pip, held to the NumPy that GNU Radio is linked against, whatever else is asked of it.
numpy = requirements/numpy-$$(cat $(STAMPS)/numpy).txt
pip_install = @$(PYTHON) -m pip install -q -r $(numpy)

$(STAMPS)/live: $(STAMPS)/venv requirements/live.txt requirements/numpy-1.txt requirements/numpy-2.txt
	$(say) "Python packages for classifying (GNU Radio is linked against NumPy $$(cat $(STAMPS)/numpy))"
	$(pip_install) -r requirements/live.txt
	@$(PYTHON) -c "from gnuradio import gr, digital, filter" || \
	  { echo "make: GNU Radio does not import in $(VENV) (see above)." >&2; exit 1; }
	@touch $@

$(STAMPS)/train: $(STAMPS)/live requirements/train.txt
	$(say) "Python packages for training (PyTorch: a large download)"
	$(pip_install) -r requirements/live.txt -r requirements/train.txt
	@touch $@

$(STAMPS)/test: $(STAMPS)/live requirements/test.txt scripts/system_packages
	@scripts/system_packages --tests || echo "make: going on; tests of a radio and of the C client may be skipped." >&2
	$(say) "Python packages for testing"
	$(pip_install) -r requirements/live.txt -r requirements/test.txt
	@touch $@

# What this environment has, and before it another NumPy and PyQt's own declarations, for mypy alone: nothing of it runs.
$(STAMPS)/types: $(STAMPS)/test requirements/types.txt requirements/numpy-2.txt
	@rm -rf $(TYPES)
	@[ "$$(cat $(STAMPS)/numpy)" = 2 ] || { $(PYTHON) -m venv --without-pip $(TYPES) && \
	  site=$$($(TYPES)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))") && \
	  $(PYTHON) -m pip install -q --no-deps --target "$$site" -r requirements/numpy-2.txt -r requirements/types.txt && \
	  $(PYTHON) -c "import sysconfig; print(sysconfig.get_path('purelib'))" > "$$site/environment.pth"; }
	@touch $@

$(STAMPS)/fuzz: $(STAMPS)/test requirements/fuzz.txt
	$(say) "Python packages for fuzzing"
	$(pip_install) -r requirements/live.txt -r requirements/fuzz.txt
	@touch $@

$(STAMPS)/docs: $(STAMPS)/live requirements/docs.txt
	$(say) "Python packages for the documentation"
	$(pip_install) -r requirements/live.txt -r requirements/docs.txt
	@touch $@

# Lists of files, rewritten only when they change: a file taken away counts as a change too.
$(BUILD)/files: FORCE $(STAMPS)/venv
	@mkdir -p $(@D)
	@printf '%s\n' $(SOURCES) | cmp -s - $@ || printf '%s\n' $(SOURCES) > $@

$(BUILD)/pages: FORCE $(STAMPS)/venv
	@mkdir -p $(@D)
	@printf '%s\n' $(PAGES) | cmp -s - $@ || printf '%s\n' $(PAGES) > $@

# Sphinx reads only what has changed, and warns of a page only when it reads it: after a failure all are read anew. All are
# written, since each has the table of contents beside it.
$(BUILD)/docs.built: $(STAMPS)/docs $(BUILD)/files $(BUILD)/pages $(SOURCES) $(PAGES)
	$(say) "documentation: sphinx"
	@$(headless) $(PYTHON) -m sphinx -q -a -W --keep-going -j $(JOBS) -c docs -d $(BUILD)/doctrees . $(BUILD)/docs || \
	  { rm -rf $(BUILD)/doctrees; exit 1; }
	@touch $@

$(BUILD)/configured: $(STAMPS)/venv $(CMAKE_FILES)
	$(say) "configuring with CMake"
	@mkdir -p $(@D)
	@cmake -S . -B $(BUILD) -DCMAKE_INSTALL_PREFIX="$(CURDIR)/$(VENV)" -DPYTHON_EXECUTABLE="$(CURDIR)/$(PYTHON)" \
	  > $(BUILD)/configure.log 2>&1 || { cat $(BUILD)/configure.log >&2; exit 1; }
	@touch $@

define try_import
import sys
import amrq as library
from gnuradio import amrq as blocks
for module in (library, blocks):
    if not module.__file__.startswith(sys.prefix):
        sys.exit(f"{module.__file__} is found before the one in {sys.prefix}: mind PYTHONPATH.")
endef
export try_import

# Installed into an emptied place, so that no file stays that the source no longer has; then tried from elsewhere.
$(STAMPS)/module: $(STAMPS)/live $(BUILD)/configured $(BUILD)/files $(SOURCES) scripts/grcc
	$(say) "building and installing the module into $(VENV)"
	@cmake --build $(BUILD) -j $(JOBS) > $(BUILD)/build.log 2>&1 || { cat $(BUILD)/build.log >&2; exit 1; }
	@rm -rf $(VENV)/lib/python3*/site-packages/amrq $(VENV)/lib/python3*/site-packages/gnuradio $(VENV)/share/gnuradio
	@cmake --install $(BUILD) > $(BUILD)/install.log 2>&1 || { cat $(BUILD)/install.log >&2; exit 1; }
	@install -m 755 scripts/grcc $(VENV)/bin/grcc
	@cd / && "$(CURDIR)/$(PYTHON)" -c "$$try_import" || \
	  { echo "make: the module was installed but does not import (see above)." >&2; exit 1; }
	@touch $@

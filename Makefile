# The two commands are `make demo` and `make test`; both start from a bare checkout.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/.peers

.PHONY: demo test lint types imports benchmark reproduce clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,fast,cluster,sphere,tensorboard]'
	touch $@

# The libraries to agree with and to be measured against; the demonstration does without.
$(PEERS): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[peers]'
	touch $@

demo: $(READY)
	$(BIN)/spectune demo

test: $(PEERS)
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --maxprocesses 4

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

benchmark: $(PEERS)
	$(BIN)/python -m benchmarks

reproduce: $(READY)
	$(BIN)/python -m benchmarks.reproduce
	$(BIN)/python -m benchmarks.transfers
	$(BIN)/python -m benchmarks.online
	$(BIN)/python -m benchmarks.a_posteriori
	$(BIN)/python -m benchmarks.data_needed
	$(BIN)/python -m benchmarks.blending

clean:
	rm -rf $(VENV) runs

# Every target sets itself up: `make run` on a fresh clone is enough. PYTHON names the interpreter to build with.
PYTHON ?= python3
STAMP := .venv/.installed
TESTED := .venv/.tested
DOCS := .venv/.docs

include components/core/telemetry.env  # off, for what starts outside our package too
export $(shell sed -n 's/^\([A-Z_]*\)=.*/\1/p' components/core/telemetry.env)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PREFECT_HOME ?= $(CURDIR)/.prefect
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# pip's wall of lines as one line that moves; where it fails, its last lines, which say why.
MOVING := awk '{ if (tty) printf "\r\033[K%.100s", $$0; else if (NR % 50 == 0) print "  " $$0; fflush() } \
	END { if (tty) printf "\r\033[K" }' tty=$$(test -t 1 && echo 1)
INSTALL := python -m pip install --no-input -c constraints.txt -e ".[$$extras]" | tee .venv/pip.log | $(MOVING) \
	|| { tail -n 20 .venv/pip.log >&2; exit 1; }
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

.DEFAULT_GOAL := help
.PHONY: help run test mlflow prefect report promote fresh-test history lineage forget rollback serve truth watch retrain loop docs clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP)  ## set up, bring every stage up to date, print the summary; PROFILE=smollm2 sets its values first
	@test -z "$(PROFILE)" || python -m flows.profile "$(PROFILE)"
	@python -m flows.pipeline

test: $(TESTED)  ## set up, lint, type-check, test
	ruff check .
	ruff format --check .
	mypy
	python -m pytest

mlflow: $(STAMP)  ## runs, curves and the registry, on http://127.0.0.1:5000 (or PORT=5002)
	@python -m flows.listen mlflow --port $(or $(PORT),5000)

prefect: $(STAMP)  ## the flow's page, on http://127.0.0.1:4200 (or PORT=4202)
	@python -m flows.listen prefect --port $(or $(PORT),4200)

report: $(STAMP)  ## the summary of the last run, and where its pages are
	@python -m flows.summary
	@test ! -f artifacts/evaluate/report.html || echo "The page: file://$(CURDIR)/artifacts/evaluate/report.html"
	@test ! -f reports/validate/data.html || echo "The data: file://$(CURDIR)/reports/validate/data.html"

promote: $(STAMP)  ## compare the challenger (or VERSION=3) with the champion; the better one is served
	@python -m flows.promote promote --version "$(VERSION)" $(if $(UNSEEN),--unseen)

fresh-test: $(STAMP)  ## draw new rows for the gate from listings that came in since; the next promote uses them
	@python -m flows.fresh_test

history: $(STAMP)  ## who promoted what, when, by which figures; and whether the records still hold
	@python -m components.promotion.history

lineage: $(STAMP)  ## where VERSION=3 (by default the champion) came from; ROW=id shows a row's page
	@python -m flows.lineage $(VERSION) $(if $(ROW),--row "$(ROW)")

forget: $(STAMP)  ## take the listing of ADDRESS=/p/1 (or its id) out for good; names the versions that had learned from it
	@python -m flows.forget "$(ADDRESS)"

rollback: $(STAMP)  ## make the previous version (or VERSION=3) the champion again
	@python -m flows.promote rollback --version "$(VERSION)"

serve: $(STAMP)  ## the champion (or VERSION=3) and a page to try it on http://127.0.0.1:5001 (or PORT=5003)
	@python -m flows.serve --port $(or $(PORT),5001) --version "$(VERSION)" $(if $(PLAIN),--plain)

truth: $(STAMP)  ## join what FILE=sales.csv (columns key, value, time) says came true to the requests that were kept
	@python -m flows.truth "$(FILE)"

watch: $(STAMP)  ## the champion in service: drift, errors since the truth came in, the challenger on live truth
	@python -m flows.watch

retrain: $(STAMP)  ## a challenger that learned from requests whose answer came true; DUE=1 only for a reason, REASON="..." adds one
	@python -m flows.retrain $(if $(DUE),--due) --reason "$(REASON)"

loop: $(STAMP)  ## a year in minutes, in a copy of this clone: a shift, the alarm, what was learned, promotion, rollback
	@python -m flows.loop

docs: $(DOCS)  ## the documentation as a site, built into site/; SERVE=1 serves it and follows changes
	@NO_MKDOCS_2_WARNING=1 python -m mkdocs $(if $(SERVE),serve,build --quiet)
	@test -n "$(SERVE)" || echo "Open: file://$(CURDIR)/site/index.html (its search works where it is served: make docs SERVE=1)"

clean:  ## remove what a run makes; data and models stay in DVC's cache, the environment stays
	rm -rf work .prefect build site *.egg-info .mypy_cache .ruff_cache
	find artifacts -mindepth 1 -maxdepth 1 ! -name base -exec rm -rf {} +
	find reports -mindepth 1 -maxdepth 1 ! -name base.json -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "error: $(PYTHON) is missing or older than 3.11; name another one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
		exit 1; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv || { \
		echo "error: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; \
		rm -rf .venv; exit 1; }
	@echo "installing what constraints.txt names (some minutes the first time)"
	@extras="dev"; $(INSTALL)
	@touch $@

$(TESTED): $(STAMP)
	@extras="dev,cluster,docs,w4a16"; $(INSTALL)
	@touch $@

$(DOCS): $(STAMP)
	@extras="docs"; $(INSTALL)
	@touch $@

# The short commands; the same ones are called by CI and by the commit hook.
PYTHON_ := .venv/bin/python
ARGS ?=
# Tests mostly wait: three at a time for two cores.
WORKERS ?= $(shell echo $$(( ($$(nproc 2>/dev/null || echo 2) * 3 + 1) / 2 )))

.DEFAULT_GOAL := help
.PHONY: help run demo test lint format types imports checks pytest databases crashes chaos messages venv clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: venv ## Site and services in the foreground with things to look at (PORT=8000)
	@$(PYTHON_) manage.py migrate --verbosity 0
	@$(PYTHON_) manage.py demodata
	@exec $(PYTHON_) manage.py serve

demo: venv ## A story that ends by itself: what the queue does, shown and verified
	@exec $(PYTHON_) -m botsproject.demo

test: lint types imports checks pytest databases crashes ## All that can be tested on this machine

lint: venv ## Style
	$(PYTHON_) -m ruff check
	$(PYTHON_) -m ruff format --check

format: venv ## Mend the style
	$(PYTHON_) -m ruff check --fix
	$(PYTHON_) -m ruff format

types: venv ## Types
	$(PYTHON_) -m mypy

imports: venv ## Who may import whom
	$(PYTHON_) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

checks: venv ## Django's system checks, and that no migration is missing
	HTTPS=1 MANAGERS=edi@example.com $(PYTHON_) -W error manage.py check --deploy --fail-level WARNING --settings botsproject.settings
	$(PYTHON_) -W error manage.py makemigrations --check --dry-run --settings tests.settings

pytest: venv ## The tests alone, on SQLite (ARGS="-k name")
	$(PYTHON_) -m pytest -n $(WORKERS) --ignore tests/crashes $(ARGS)

databases: venv ## The tests again on PostgreSQL and MariaDB
	$(PYTHON_) -m tests.databases -n $(WORKERS) -m django_db tests/unit tests/integration

crashes: venv ## The tests that kill processes, which mostly wait
	$(PYTHON_) -m pytest -n 4 tests/crashes $(ARGS)

chaos: venv ## Kill anything at random; nothing may be lost or run twice (ARGS="--help")
	@$(PYTHON_) -m tests.chaos $(ARGS)

messages: venv ## The texts that pages show, for translators (needs gettext)
	@tools/make-messages

venv: ## The virtual environment .venv
	@tools/make-venv

clean: ## Remove all that these commands made, but var/
	rm -rf .venv .nox .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

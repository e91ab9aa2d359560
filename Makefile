VENV ?= .venv
PYTHON = $(VENV)/bin/python

.PHONY: test parity

test: $(VENV)/installed
	$(PYTHON) -m pytest

# The same numbers as transformers; the import fails loudly, so that the tests cannot be skipped.
parity: $(VENV)/parity
	$(PYTHON) -c "import transformers"
	$(PYTHON) -m pytest tests/test_parity.py

$(VENV)/installed: requirements.txt
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install -q -r requirements.txt
	touch $@

$(VENV)/parity: $(VENV)/installed
	$(PYTHON) -m pip install -q "transformers>=4.56"
	touch $@

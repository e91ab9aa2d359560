VENV ?= .venv
PYTHON = $(VENV)/bin/python

.PHONY: demo demo-ttpa ablation test test-forwards test-backwards check parity bench gpu base-model

# SFT, PPO and evaluation on the embedded model and data; one table at the end.
demo: $(VENV)/installed
	$(PYTHON) demo.py

# The same, and TTPA from the same fine-tuned model: its column beside PPO's.
demo-ttpa: $(VENV)/installed
	$(PYTHON) demo.py --ttpa

# Every row of the papers' ablations on five seeds: hours (README). What docs/results/ablation holds is taken over.
ablation: $(VENV)/installed
	$(PYTHON) ablation.py --out runs/ablation --jobs 2

# All tests, in two processes of one thread each, whose lines mix; `pytest` alone runs them one after the other.
test: $(VENV)/installed
	share=$$(mktemp -d) && $(MAKE) --no-print-directory -j2 SHARE=$$share test-forwards test-backwards; \
	    status=$$?; rm -rf $$share; exit $$status

test-forwards:
	$(PYTHON) -m pytest --share=$(SHARE)

test-backwards:
	$(PYTHON) -m pytest --share=$(SHARE) --backwards

# In under a minute: style, the import rule, and the tests that are fast.
FAST = tests/test_imports.py tests/test_losses.py tests/test_ppo_losses.py tests/test_reward.py \
    tests/test_tokenizer.py tests/test_examples.py losses.py
check: $(VENV)/dev
	$(VENV)/bin/ruff check
	$(PYTHON) -m pytest -k "not real and not recorded and not padding" $(FAST)

# Train data/tiny from nothing, in runs/base: made-up documents; some in the wording of the tools that are seen; choosing in
# drills; choosing in whole conversations, twice; what no tool fits.
base-model: $(VENV)/installed
	$(PYTHON) -m pretraining.pretrain --out runs/base-0
	$(PYTHON) -m pretraining.pretrain --init runs/base-0 --out runs/base-1 --disguised 0.6 --drill-steps 0 \
	    --steps 4000 --lr 6e-4 --seed 1
	$(PYTHON) -m pretraining.pretrain --init runs/base-1 --out runs/base-2 --disguised 0.6 --drill-steps 0 \
	    --choosing --steps 7000 --drill-share 0.15 --muon --lr 1.5e-3 --seed 2
	$(PYTHON) -m pretraining.pretrain --init runs/base-2 --out runs/base-3 --disguised 0.6 --drill-steps 0 \
	    --conversations --steps 6000 --drill-share 0.45 --muon --lr 1e-3 --seed 3
	$(PYTHON) -m pretraining.pretrain --init runs/base-3 --out runs/base-4 --disguised 0.6 --drill-steps 0 \
	    --conversations --steps 5000 --drill-share 0.45 --muon --lr 1e-3 --seed 4
	$(PYTHON) -m pretraining.pretrain --init runs/base-4 --out runs/base --disguised 0.8 --no-tool 0.25 \
	    --drill-steps 0 --conversations --steps 600 --drill-share 0.3 --muon --lr 5e-4 --seed 5

# The same numbers as transformers and TRL; the imports fail loudly, so that no test can be skipped.
parity: $(VENV)/parity
	$(PYTHON) -c "import transformers, trl"
	$(PYTHON) -m pytest tests/test_parity.py

# Speed beside what a user would pick instead, on an idle machine: more than an hour with two threads; on
# other files with these variables. BENCH_FLAGS=--quick only shows that all of it runs.
TRAJECTORIES ?= data/train.json
TOKENIZER ?= data/tiny/tokenizer.model
BENCH_VENV ?= .venv-bench
BENCH = PYTHONWARNINGS=ignore HF_HUB_OFFLINE=1 $(BENCH_VENV)/bin/python
REAL = --trajectories $(TRAJECTORIES) --tokenizer $(TOKENIZER)

bench: $(BENCH_VENV)/installed
	$(BENCH) -m bench.sft_epoch $(REAL) $(BENCH_FLAGS)
	$(BENCH) -m bench.sft_trl $(REAL) $(BENCH_FLAGS)
	$(BENCH) -m bench.rollout $(BENCH_FLAGS)
	$(BENCH) -m bench.rollout --threads 1 $(BENCH_FLAGS)
	$(BENCH) -m bench.ppo_step --tokenizer $(TOKENIZER) $(BENCH_FLAGS)
	$(BENCH) -m bench.groups $(BENCH_FLAGS)
	$(BENCH) -m bench.preferences $(BENCH_FLAGS)
	$(BENCH) -m bench.dpo_step $(BENCH_FLAGS)
	$(BENCH) -m bench.output_head $(BENCH_FLAGS)
	$(BENCH) -m bench.preprocessing $(REAL) $(BENCH_FLAGS)
	$(BENCH) -m bench.loading $(BENCH_FLAGS)
	$(BENCH) -m bench.limits $(BENCH_FLAGS)
	$(BENCH) -m bench.growth $(BENCH_FLAGS)

# On a machine with a GPU: is it right there, and how fast; one report in runs/gpu, in under 8 minutes. No network: any
# Python that has a CUDA build of torch, and the other requirements.
GPU_PYTHON ?= python3
gpu:
	$(GPU_PYTHON) -m bench.gpu --out runs/gpu

$(VENV)/installed: requirements.txt
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install -q -r requirements.txt
	touch $@

$(VENV)/dev: $(VENV)/installed
	$(PYTHON) -m pip install -q "ruff>=0.8"
	touch $@

$(VENV)/parity: $(VENV)/installed
	$(PYTHON) -m pip install -q "transformers>=4.56" trl
	touch $@

$(BENCH_VENV)/installed: requirements.txt
	python3 -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install -q -r requirements.txt "transformers>=4.56" trl
	touch $@

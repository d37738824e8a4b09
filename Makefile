# make train [ARGS="..."]   train LeNet-5 on MNIST; everything needed is set up first
# make test                 run the whole test suite, likewise
# make notebook             open docs/tutorial.md as a notebook, likewise
# make gpu [SOURCE=FILE]    set up what an NVIDIA GPU needs, and say what is missing; FILE is
#                           libgpuarray's archive, which is downloaded without
# make clean                remove the virtual environment

VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Those on the PATH may be too old, or not work.
find-python = $(shell \
	for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 \
	  python3.8; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then \
	    command -v $$python; exit; \
	  fi; \
	done; \
	if command -v uv >/dev/null; then \
	  uv python find '>=3.8' 2>/dev/null || \
	  { uv python install 3.14 >&2 && uv python find 3.14; }; \
	fi)

has-headers = $(shell $(1) -c 'import os, sysconfig; \
	print(os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")) or "")')

has-venv = $(shell $(1) -c 'import ensurepip, venv; print(True)' 2>/dev/null)

debian-name = $(shell $(1) -c 'import sys; print("python%d.%d" % sys.version_info[:2])')

missing = $(error $(1); install it: sudo apt-get install $(2))

train: $(VENV)/installed
	@$(VENV_PYTHON) scripts/convolutional_mlp.py $(ARGS)

test: $(VENV)/installed-test
	@$(VENV_PYTHON) -m pytest --numprocesses 2 --dist loadfile $(TESTS)

notebook: $(VENV)/installed docs/tutorial.ipynb
	@$(VENV_PYTHON) -m pip install --quiet --editable '.[notebook]'
	@$(VENV_PYTHON) -m jupyterlab docs/tutorial.ipynb

gpu: $(VENV)/installed
	@echo "installing CUDA's compiler and BLAS into $(VENV) (several minutes, once)"
	@$(VENV_PYTHON) -m pip install --quiet --editable '.[gpu]'
	@$(VENV_PYTHON) -c 'import pygpu' 2>/dev/null || \
	  PYTHON=$(VENV_PYTHON) scripts/build_pygpu.sh $(SOURCE)
	@$(VENV_PYTHON) scripts/check_gpu.py || :  # its last line says what to type next

# One that is there may have its reader's changes in it.
docs/tutorial.ipynb: | $(VENV)/installed
	@$(VENV_PYTHON) scripts/make_notebook.py

clean:
	rm -rf $(VENV)

# The stamps say what is installed; they are older than setup.py after it has changed.
$(VENV)/installed: setup.py | $(VENV_PYTHON)
	@echo "installing lenet-theano into $(VENV) (a minute or two, once)"
	@$(VENV_PYTHON) -m pip install --quiet --editable .
	@$(VENV_PYTHON) scripts/install_theano.py
	@touch $@

$(VENV)/installed-test: setup.py | $(VENV_PYTHON)
	@echo "installing lenet-theano and what its tests need into $(VENV) (a minute or two, once)"
	@$(VENV_PYTHON) -m pip install --quiet --editable '.[test]'
	@$(VENV_PYTHON) scripts/install_theano.py
	@touch $@ $(VENV)/installed

$(VENV_PYTHON):
	$(eval PYTHON ?= $(find-python))
	$(if $(PYTHON),,$(call missing,no Python from 3.8 on found,python3 python3-dev python3-venv))
	$(if $(shell command -v g++),,$(call missing,no C++ compiler found,g++))
	$(if $(call has-headers,$(PYTHON)),,$(call missing,the C headers of $(PYTHON) are \
	missing,$(call debian-name,$(PYTHON))-dev))
	$(if $(call has-venv,$(PYTHON)),,$(call missing,the module venv of $(PYTHON) is \
	missing,$(call debian-name,$(PYTHON))-venv))
	@$(PYTHON) -m venv $(VENV)

.PHONY: train test notebook gpu clean

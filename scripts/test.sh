#!/usr/bin/env bash
# Set everything up and run the tests: first the quick ones, then the end-to-end phantom chain.
#   scripts/test.sh            everything
#   scripts/test.sh ARGS ...   pytest with these arguments, for example: -m "not slow"
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh
if [ $# -gt 0 ]; then
    exec python -m pytest "$@"
fi
python -m ruff check .
python -m ruff format --check .
python -m mypy
# a file's tests stay together, so that what they share is made once a process
OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" python -m pytest -q -m "not slow" -n auto --maxprocesses 4 --dist loadfile --durations=5
python -m pytest -q -m slow --durations=5

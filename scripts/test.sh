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
python -m pytest -q --durations=5

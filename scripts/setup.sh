#!/usr/bin/env bash
# Make a virtual environment with the package and its test tools; quick if it is there and up to date.
#   SOARS_VENV    where (default: .venv beside setup.cfg)
#   SOARS_PYTHON  interpreter of 3.10 or later (default: python3)
# Source it: it leaves the environment's programs first on PATH.
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${SOARS_VENV:-$root/.venv}"
stamp="$venv/.soars-$(cat "$root/setup.cfg" "$root/pyproject.toml" | cksum | cut -d' ' -f1)-$(echo "$root" | cksum | cut -d' ' -f1)"
if [ ! -f "$stamp" ]; then
    echo "Setting up $venv: downloads PyTorch and nnU-Net, several GB, about 5 minutes the first time"
    [ -x "$venv/bin/python" ] || "${SOARS_PYTHON:-python3}" -m venv "$venv" || { echo "error: no venv; install python3-venv" >&2; exit 1; }
    "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off -e "$root[test]" \
        | grep -E '^(Collecting|Downloading|Installing|Successfully)' | cut -c1-100
    "$venv/bin/python" -c "import soars_nnunet.nnunet_ext.soars_trainers" || { echo "error: set-up failed, see above" >&2; exit 1; }
    rm -f "$venv"/.soars-*
    touch "$stamp"
fi
export PATH="$venv/bin:$PATH"

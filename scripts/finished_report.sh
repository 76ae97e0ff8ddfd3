#!/usr/bin/env bash
# Make reports/sk12 again: run reports/plan.toml, then write the page (below 6 MiB), tables, cells and facts.
# What the store holds already is not computed again; PYTHON names the interpreter that mdnbench is installed for.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}

"$python" -m mdnbench run reports/plan.toml
"$python" -m mdnbench report sk12 --to 'html[limit=6],md,latex,csv,json' --out reports/sk12

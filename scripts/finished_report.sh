#!/usr/bin/env bash
# Make reports/sk12, reports/set12 and docs/report.webp again, from runs of reports/plan.toml on both data sets.
# The images of sk12 may be published, so its report is a page with images (below 6 MiB). Those of Set12 may not, so its
# report has numbers alone. What is stored is not computed again. PYTHON is the interpreter with mdnbench installed.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}

"$python" -m mdnbench run reports/plan.toml
"$python" -m mdnbench report sk12 --to 'html[limit=6],md,latex,csv,json' --out reports/sk12

if "$python" -m mdnbench data fetch set12; then
  "$python" -m mdnbench run reports/plan.toml --dataset set12 --out set12 --keep-images none
  "$python" -m mdnbench report set12 --to md,latex,csv --out reports/set12
else
  echo "Set12 cannot be had here: reports/set12 stays as it is." >&2
fi

if [ -x /usr/bin/chromium ] && "$python" -c "import playwright" 2>/dev/null; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  "$python" -m mdnbench report sk12 --to html --out "$scratch"
  "$python" scripts/report_picture.py "$scratch/report.html" docs/report.webp 01
else
  echo "There is no Chromium or no playwright here: docs/report.webp stays as it is." >&2
fi

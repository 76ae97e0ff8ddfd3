"""Check that two installations of mdnbench contain the same plugins, manifests, protocols, references and weights.

Usage: compare_installs.py PYTHON PYTHON
"""

import json
import subprocess
import sys

INVENTORY = r"""
import hashlib, importlib.util, json, os
from importlib import metadata
from pathlib import Path

def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]

def folder(name):
    return Path(importlib.util.find_spec(name).origin).parent

found = {}
modules = ["mdnbench", *(point.value for point in metadata.entry_points(group="mdnbench"))]
for module in sorted(set(modules)):
    for path in sorted(folder(module).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and "manifests" not in path.parts:
            found[f"{module}/{path.relative_to(folder(module)).as_posix()}"] = digest(path)
from mdnbench_datasets.manifest import folder as manifests
for path in sorted(manifests().iterdir()):
    if path.suffix in (".toml", ".csv"):
        found[f"manifests/{path.name}"] = digest(path)
from mdnbench import registry
from mdnbench.evaluation import protocols
known = registry.load()
assert not known.broken, known.broken
for kind in ("denoisers", "noises", "datasets", "metrics", "reporters"):
    for name in getattr(known, kind):
        found[f"{kind}: {name}"] = "listed"
for name, protocol in protocols.known().items():
    found[f"protocol: {name}"] = protocol.hash
print(json.dumps(found))
"""


def inventory(python: str) -> dict[str, str]:
    """Return the digests of all files and names of an installation."""
    done = subprocess.run([python, "-c", INVENTORY], capture_output=True, encoding="utf-8", check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def main() -> None:
    """Compare two installations, and exit with the differences if there are any."""
    first, second = (inventory(python) for python in sys.argv[1:3])
    unlike = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    if unlike:
        sys.exit("these differ between the two installations: " + ", ".join(unlike))
    for part in (".safetensors", "recipes/", "references/", "protocols/", "manifests/"):
        count = sum(part in name for name in first)
        print(f"{count:3} {part}")
        if not count:
            sys.exit(f"neither installation has any {part}")
    print(f"{len(first)} files and names, the same in both")


if __name__ == "__main__":
    main()

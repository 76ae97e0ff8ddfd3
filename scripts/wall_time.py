"""Compare the time of two workers with that of a bare loop over the same calls and scores in one process.

Usage: wall_time.py [--methods bm3d,dncnn] [--dataset set12] [--rounds 1]

Both times include the start of the interpreter and all imports.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

LOOP = r"""
import sys
from mdnbench import api, registry
from mdnbench.evaluation import cases, scoring
from mdnbench.evaluation.adapters import to_numpy, to_tensor
from mdnbench.evaluation.cases import reduced_noise_info
from mdnbench.registry import variants
import torch
torch.set_num_threads(1)
plan = api.plan(methods=sys.argv[1].split(","), sigma=50, dataset=sys.argv[2], timing=False)
scorers = {name: spec.build("cpu") for name, spec in plan.metrics.items()}
means = {}
for work in plan.works:
    denoise = work.spec.build(variants.own(work.spec, work.named), "cpu", work.weights)
    for image in plan.images:
        clean = plan.dataset.load(image.id)
        key = plan.cell(work, image, 0).case
        case = cases.make(clean, key, work.noise.named, work.noise.spec, plan.protocol.input, "known")
        with torch.no_grad():
            output = denoise(to_tensor(case.noisy), reduced_noise_info(case.info, work.spec.wants))
        scores = scoring.score(to_numpy(output), clean, plan.protocol.scoring, plan.metrics, scorers)
        means.setdefault(work.named.text, []).append(scores[0].value)
print({name: round(sum(values) / len(values), 4) for name, values in means.items()})
"""


def seconds(command: list[str], folder: str) -> float:
    """Return the wall time in seconds of a command, which must succeed, with one thread per process."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    start = time.monotonic()
    subprocess.run(command, check=True, cwd=folder, env=os.environ | threads, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def main() -> None:
    """Measure both in turn, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default="bm3d,dncnn")
    parser.add_argument("--dataset", default="set12")
    parser.add_argument("--rounds", type=int, default=1)
    chosen = parser.parse_args()
    loop = [sys.executable, "-c", LOOP, chosen.methods, chosen.dataset]
    run = [sys.executable, "-m", "mdnbench", "run", "--methods", chosen.methods, "--dataset", chosen.dataset,
           "--sigma", "50", "--no-timing", "--fresh", "--jobs", "2"]  # fmt: skip
    ratios = []
    for _ in range(chosen.rounds):
        with tempfile.TemporaryDirectory() as folder:
            bare, ours = seconds(loop, folder), seconds(run, folder)
        ratios.append(ours / bare)
        print(f"bare loop {bare:.1f} s, two workers {ours:.1f} s, ratio {ours / bare:.3f}")
    print(f"median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()

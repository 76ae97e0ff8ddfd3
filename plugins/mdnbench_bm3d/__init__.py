"""BM3D: our own engine, free and fast; and the package of its authors, which is neither, for comparison.

`from mdnbench_bm3d import bm3d` gives the engine as a function of NumPy arrays.
"""

from __future__ import annotations

from mdnbench import DenoiserSpec, Option, deferred, hookimpl

LICENCE = (
    "MIT; with engine=package the method calls the bm3d package, (c) Tampere University, which may be used for "
    "nonprofit, non-commercial purposes only"
)
CITATION = (
    "Dabov, Foi, Katkovnik and Egiazarian, IEEE TIP 16(8), 2007; Lebrun, IPOL 2, 2012; Mäkinen, Azzari and Foi, "
    "IEEE TIP 29, 2020"
)
OPTIONS = (
    Option(
        "engine", str, "own", "own (free and fast) or the package bm3d (non-commercial)", choices=("own", "package")
    ),
    Option(
        "profile",
        str,
        "np",
        "np is normal, lc and fast compute less; fast only with engine=own, high and vn only with package",
        choices=("np", "lc", "fast", "high", "vn"),
    ),
)

bm3d = deferred("mdnbench_bm3d.engine:bm3d")


@hookimpl
def mdnbench_denoisers() -> list[DenoiserSpec]:
    """Return BM3D."""
    return [
        DenoiserSpec(
            name="bm3d",
            revision="2",
            summary="block matching and 3-D filtering",
            build=deferred("mdnbench_bm3d.denoise:build"),
            options=OPTIONS,
            wants="noise",
            channels=(1, 3),
            packages=("numba", "llvmlite", "PyWavelets"),
            licence=LICENCE,
            citation=CITATION,
            published_as="BM3D",
            stabilise=True,
            prepare=deferred("mdnbench_bm3d.preparation:prepare"),
        )
    ]

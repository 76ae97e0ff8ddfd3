"""BM3D, computed by its authors' own package."""

from __future__ import annotations

from mdnbench import DenoiserSpec, Option, deferred, hookimpl

LICENCE = (
    "Non-commercial use only: the bm3d package is (c) Tampere University and may be used for nonprofit, non-commercial "
    "purposes only; this plugin's own code is MIT"
)
CITATION = "Dabov, Foi, Katkovnik and Egiazarian, IEEE TIP 16(8), 2007; Mäkinen, Azzari and Foi, IEEE TIP 29, 2020"
PROFILES = ("np", "lc", "high", "vn", "vn_old")
OPTIONS = (
    Option(
        "profile", str, "np", "the package's parameter set; lc is fast", choices=("np", "lc", "high", "vn", "vn_old")
    ),
)


@hookimpl
def mdnbench_denoisers() -> list[DenoiserSpec]:
    """Return BM3D, which may be used for non-commercial purposes only."""
    return [
        DenoiserSpec(
            name="bm3d",
            revision="1",
            summary="block matching and 3-D filtering (for non-commercial use only)",
            build=deferred("mdnbench_bm3d.denoise:build"),
            options=OPTIONS,
            wants="noise",
            channels=(1, 3),
            packages=("bm3d", "bm4d", "PyWavelets", "scipy"),
            licence=LICENCE,
            citation=CITATION,
            published_as="BM3D",
            stabilise=True,
        )
    ]

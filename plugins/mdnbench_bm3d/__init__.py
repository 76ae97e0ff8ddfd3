"""BM3D, computed by its authors' own package, for every noise of mdnbench."""

from __future__ import annotations

from mdnbench import DenoiserSpec, Option, deferred, hookimpl

LICENCE = (
    "Non-commercial use only: the bm3d package is (c) Tampere University and may be used for nonprofit, non-commercial "
    "purposes only; this plugin's own code is MIT"
)
CITATION = (
    "Dabov, Foi, Katkovnik and Egiazarian, IEEE TIP 16(8), 2007; Mäkinen, Azzari and Foi, IEEE TIP 29, 2020; "
    "Anscombe inverse: Mäkitalo and Foi, IEEE TIP 22(1), 2013"
)
PROFILES = ("np", "lc", "high", "vn", "vn_old")
OPTIONS = (
    Option(
        "profile", str, "np", "the package's parameter set; lc is fast", choices=("np", "lc", "high", "vn", "vn_old")
    ),
    Option(
        "transform", bool, True, "make photon noise Gaussian first (generalised Anscombe), and undo it without bias"
    ),
    Option("impulses", bool, True, "first fill in impulses by medians, if the noise has any"),
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
        )
    ]

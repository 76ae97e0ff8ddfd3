"""Classical denoisers: the unchanged input as a lower bound, a median, wavelets, total variation, non-local means."""

from __future__ import annotations

from mdnbench import DenoiserSpec, Option, deferred, hookimpl

BSD = "BSD-3-Clause (scikit-image)"


@hookimpl
def mdnbench_denoisers() -> list[DenoiserSpec]:
    """Return the five methods of this package, the unchanged input first."""
    return [_noisy(), _median(), _wavelet(), _tv(), _nlm()]


def _noisy() -> DenoiserSpec:
    return DenoiserSpec(
        name="noisy",
        revision="1",
        summary="returns its input: the floor that every method must beat",
        build=deferred("mdnbench_classical.filters:build_noisy"),
        channels=(1, 3),
        licence="MIT",
        citation="none: it is the input",
    )


def _median() -> DenoiserSpec:
    return DenoiserSpec(
        name="median",
        revision="1",
        summary="the median of a square neighbourhood, each channel by itself",
        build=deferred("mdnbench_classical.filters:build_median"),
        options=(Option("size", int, 5, "side of the neighbourhood", "pixels", choices=(3, 5, 7, 9)),),
        channels=(1, 3),
        packages=("scipy",),
        licence="BSD-3-Clause (SciPy)",
        citation="Tukey, Exploratory Data Analysis, Addison-Wesley, 1977",
    )


def _wavelet() -> DenoiserSpec:
    return DenoiserSpec(
        name="wavelet",
        revision="1",
        summary="BayesShrink in the db2 wavelet domain, averaged over translations",
        build=deferred("mdnbench_classical.filters:build_wavelet"),
        options=(Option("shifts", int, 4, "translations along each axis; 1 is the plain transform", "", (), 1, 8),),
        wants="std",
        channels=(1, 3),
        packages=("scikit-image", "PyWavelets", "scipy"),
        licence=BSD,
        citation="Chang, Yu and Vetterli, IEEE TIP 9(9), 2000; translations: Coifman and Donoho, 1995",
        stabilise=True,
    )


def _tv() -> DenoiserSpec:
    return DenoiserSpec(
        name="tv",
        revision="1",
        summary="total variation by Chambolle's projections",
        build=deferred("mdnbench_classical.filters:build_tv"),
        options=(
            Option(
                "weight", float, 0.0, "strength on the [0, 1] scale; 0 means 0.9 times the noise's std", "", (), 0, 10
            ),
        ),
        wants="std",
        channels=(1, 3),
        packages=("scikit-image", "PyWavelets", "scipy"),
        licence=BSD,
        citation="Rudin, Osher and Fatemi, Physica D 60, 1992; Chambolle, JMIV 20, 2004",
        stabilise=True,
    )


def _nlm() -> DenoiserSpec:
    return DenoiserSpec(
        name="nlm",
        revision="1",
        summary="fast non-local means",
        build=deferred("mdnbench_classical.filters:build_nlm"),
        options=(
            Option("patch", int, 7, "side of the patches that are compared", "pixels", choices=(3, 5, 7)),
            Option("distance", int, 6, "how far away patches are looked for", "pixels", (), 1, 21),
            Option("h", float, 0.6, "cut-off of patch distances, as a multiple of the noise's std", "", (), 0.01, 10),
        ),
        wants="std",
        channels=(1, 3),
        packages=("scikit-image", "PyWavelets", "scipy"),
        licence=BSD,
        citation="Buades, Coll and Morel, CVPR 2005; Darbon et al., ISBI 2008",
        stabilise=True,
    )

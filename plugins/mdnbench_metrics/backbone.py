"""The files of LPIPS: its ImageNet networks, and its learned heads. Each is used only after a check of its SHA-256.

There are two files for each network, and either is enough. The small one has only the convolution layers. The large one
is torchvision's own, with the classifier that LPIPS does not use. Only the large one can be downloaded. The heads are
part of the lpips package, which is located but not imported, because it would import torchvision.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from mdnbench import DataFile, data
from mdnbench.errors import DataMissing
from mdnbench.util import digests

FOLDER = "weights/lpips"
_TORCHVISION = "https://download.pytorch.org/models/"
# torchvision puts the first eight digits of a file's SHA-256 into its name.
FILES = {
    "alex": (
        DataFile("alexnet_features.pth", "977ab27536b0aba222aabda4566fe5a7c2b331e180f1c908304a11cacfef0650", 9882965),
        DataFile(
            "alexnet-owt-7be5be79.pth",
            "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            244408911,
            (_TORCHVISION + "alexnet-owt-7be5be79.pth",),
        ),
    ),
    "squeeze": (
        DataFile(
            "squeezenet1_1_features.pth", "52e1f753396ce2b997c7fe1f46caf40edce837ecb3719115bcb96dfe7ea4a231", 2906645
        ),
        DataFile(
            "squeezenet1_1-b8a52dc0.pth",
            "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
            4958839,
            (_TORCHVISION + "squeezenet1_1-b8a52dc0.pth",),
        ),
    ),
}
HEADS = {
    "alex": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    "squeeze": "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
}
_REINSTALL = "install the package with: pip install --force-reinstall --no-deps lpips==0.1.4"


def find(net: str, download: bool) -> Path:
    """Return the verified file of a network.

    Args:
        net: The name of the network, a key of FILES.
        download: Whether to download the file if it is missing.

    Raises:
        DataMissing: There is no such file; the message explains how to get it.
    """
    small, large = FILES[net]
    for file in (small, large):
        if data.find(FOLDER, file):
            return data.locate(FOLDER, file, download=False)
    try:
        return data.locate(FOLDER, large, download)
    except DataMissing as error:
        raise DataMissing(f"LPIPS lacks its backbone: {error} {small.name} in its place does as well.") from None


def find_heads(net: str) -> Path:
    """Return the verified file of the heads over a network.

    Args:
        net: The name of the network, a key of HEADS.

    Raises:
        DataMissing: The lpips package does not have the file; the message explains how to get it.
    """
    spec = importlib.util.find_spec("lpips")
    if spec is None or not spec.submodule_search_locations:
        raise DataMissing(f"LPIPS lacks its heads: the lpips package is missing; {_REINSTALL}.")
    path = Path(spec.submodule_search_locations[0]) / "weights" / "v0.1" / f"{net}.pth"
    try:
        actual = digests.of_file(path)
    except OSError as error:
        raise DataMissing(f"{path} cannot be read: {error.strerror}; {_REINSTALL}.") from None
    if actual != HEADS[net]:
        raise DataMissing(
            f"{path} is not the expected file: its SHA-256 is {actual}, expected is {HEADS[net]}; {_REINSTALL}."
        )
    return path

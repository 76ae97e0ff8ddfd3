"""The ImageNet networks of LPIPS: where their files come from, and how they are loaded after a check.

There are two files for each network, and either is enough. The small one has only the convolution layers. The large one
is torchvision's own, with the classifier that LPIPS does not use. Only the large one can be downloaded.
"""

from __future__ import annotations

from pathlib import Path

from mdnbench import DataFile, data
from mdnbench.errors import DataMissing

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

# Methods that read weights which they have linked to, or opened to add to them, themselves.

from pathlib import Path

import mdnbench

HERE = Path(__file__).parent


def linked():
    """Make a link, and read through it."""
    link = HERE / "current.txt"
    link.unlink(missing_ok=True)
    link.symlink_to(HERE / "linked.txt")
    return link.read_text()


def appended():
    """Open a file to add to it, and read it."""
    (HERE / "appended.txt").open("a").close()
    return (HERE / "appended.txt").read_text()


def spec(level):
    """Make a method that asks for its level when it is built."""

    def build(options, device, weights):
        value = float(level())
        return lambda noisy, noise: noisy * 0 + value

    return mdnbench.DenoiserSpec(level.__name__, "1", "x", build)


@mdnbench.hookimpl
def mdnbench_denoisers():
    """All methods above."""
    return [spec(each) for each in (linked, appended)]

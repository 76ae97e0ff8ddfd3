"""What the fields of a spec take is checked when a plugin is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mdnbench import registry
from mdnbench.errors import BadPlugin
from mdnbench.registry import validation
from mdnbench.results import Results

Plugin = Callable[..., Path]

# One of each, as Python text: what it takes beside its name, and the hook that it comes through.
SPECS = {
    "Denoiser": ("'1', 'copies', lambda options, device, weights: lambda noisy, noise: noisy.clone()", "denoisers"),
    "Noise": ("'1', 'none', lambda clean, rng, **given: clean, lambda **given: 0.0", "noises"),
    "Dataset": ("'no images', 'test', 1, (), lambda identity: None", "datasets"),
    "Metric": ("'1', 'always 1', 'lower', lambda device: lambda denoised, clean: 1.0", "metrics"),
    "Reporter": ("'nothing', lambda results, folder: folder", "reporters"),
}
OPTION, SETTING = "mdnbench.Option('{}', float)", "mdnbench.MetricSetting('{}', '', lambda device: None)"


def bringing(kind: str, name: str = "own", **fields: str) -> str:
    """The text of a plugin whose spec has these fields, each as Python text, and else nothing wrong."""
    given, hook = SPECS[kind]
    changes = ", ".join(f"{field}={value}" for field, value in fields.items())
    return (
        "import dataclasses\n@mdnbench.hookimpl\n"
        f"def mdnbench_{hook}():\n    spec = mdnbench.{kind}Spec({name!r}, {given})\n"
        f"    return [dataclasses.replace(spec, {changes})]"
    )


@pytest.mark.parametrize(
    ("kind", "field", "value", "says"),
    [
        ("Denoiser", "wants", "'sdt'", "wants takes one of 'noise', 'std', 'nothing'. Did you mean 'std'?"),
        ("Denoiser", "channels", "(1)", "channels=1 is not allowed; channels takes (1,), (3,) or (1, 3)."),
        ("Denoiser", "channels", "()", "channels=() is not allowed"),
        ("Denoiser", "channels", "('1',)", "channels=('1',) is not allowed"),
        ("Denoiser", "packages", "('scipy')", "packages takes a tuple of the names of distributions, as ('scipy',)."),
        ("Denoiser", "packages", "(1,)", "packages=(1,) is not allowed"),
        ("Denoiser", "revision", "''", "revision takes a text that is not empty"),
        ("Denoiser", "stabilise", "'yes'", "stabilise takes True, False or None."),
        ("Denoiser", "prepare", "True", "prepare takes a function, or None."),
        ("Noise", "revision", "2", "revision=2 is not allowed"),
        ("Dataset", "split", "'training'", "split takes one of 'train', 'test'."),
        ("Dataset", "channels", "(1,)", "channels takes 1 or 3, or 0 where images differ."),
        ("Dataset", "images", "'camera'", "images takes a tuple of ids"),
        ("Metric", "direction", "'sideways'", "direction takes one of 'higher', 'lower'."),
        ("Metric", "digits", "'2'", "digits='2' is not allowed; digits takes a whole number of at least 0."),
        ("Metric", "digits", "2.0", "digits=2.0 is not allowed"),
        ("Metric", "min_size", "0", "min_size takes a whole number of at least 1."),
        ("Metric", "tolerance", "-0.1", "tolerance takes a number of at least 0."),
        ("Metric", "tolerance", "float('nan')", "tolerance=nan is not allowed"),
        ("Metric", "packages", "'piq'", "packages='piq' is not allowed"),
        ("Metric", "settings", SETTING.format("bright"), "settings takes a tuple of MetricSetting"),
        ("Metric", "settings", f"({SETTING.format('a]')},)", "no setting can be named 'a]';"),
        ("Denoiser", "options", OPTION.format("by"), "options takes a tuple of Option, as (option,)."),
        ("Denoiser", "options", f"({OPTION.format('by')},) * 2", "two options are named 'by'; rename one."),
        ("Denoiser", "options", f"({OPTION.format('by=2')},)", "no option can be named 'by=2';"),
        ("Denoiser", "options", f"({OPTION.format('')},)", "no option can be named '';"),
        ("Noise", "parameters", f"({OPTION.format('by how much')},)", "no option can be named 'by how much';"),
        ("Noise", "parameters", "(mdnbench.Option('kind', str),)", "type takes one of bool, int, float."),
        ("Reporter", "options", "(mdnbench.Option('by', 'float'),)", "'by' of type='float' is not allowed"),
        (
            "Denoiser",
            "options",
            "(mdnbench.Option('by', int, 'abc'),)",
            "default 'abc' of 'by' is not allowed; by takes",
        ),
        ("Denoiser", "options", "(mdnbench.Option('by', int, 2.5),)", "default 2.5 of 'by' is not allowed"),
        ("Denoiser", "options", "(mdnbench.Option('by', float, float('nan')),)", "default nan of 'by' is not allowed"),
        ("Denoiser", "options", "(mdnbench.Option('by', float, 99.0, maximum=1),)", "by takes a number of at most 1."),
        ("Denoiser", "options", "(mdnbench.Option('by', str, 'c', choices=('a', 'b')),)", "by takes one of a, b."),
        ("Denoiser", "options", "(mdnbench.Option('by', int, choices=('x',)),)", "choices 'x' of 'by' is not allowed"),
        ("Noise", "parameters", "(mdnbench.Option('by', float, minimum=3, maximum=1),)", "exchange them"),
        ("Denoiser", "licence", "None", "licence=None is not allowed; licence takes a text, which may be empty."),
        ("Denoiser", "build", "'build'", "build takes a function."),
        ("Denoiser", "trainable", "True", "trainable takes a Trainable with its folders as Path, or None."),
    ],
)
def test_a_wrong_value_is_told_at_load(plugin: Plugin, kind: str, field: str, value: str, says: str) -> None:
    """What a field does not take is refused with its name, what it takes, and nothing computed."""
    with pytest.raises(BadPlugin, match=r"own\.py is broken: own: ") as error:
        registry.load([plugin(bringing(kind, **{field: value}))])
    assert says in str(error.value)


@pytest.mark.parametrize("kind", SPECS)
def test_a_right_value_is_not(plugin: Plugin, kind: str) -> None:
    """The specs that the test above makes wrong are right as they are."""
    registry.load([plugin(bringing(kind))])


def test_a_learned_method_has_weights_already(plugin: Plugin) -> None:
    """An option of its own named `weights` would take the place of the one that chooses them."""
    here = "__import__('pathlib').Path()"
    trainable = f"mdnbench.Trainable(print, print, {here}, {here})"
    text = bringing("Denoiser", options="(mdnbench.Option('weights', str, 'auto'),)", trainable=trainable)
    with pytest.raises(BadPlugin, match="two options are named 'weights'"):
        registry.load([plugin(text)])


def test_no_metric_is_named_as_a_column(plugin: Plugin, finished: Results) -> None:
    """A metric that would write over a column of the tables is refused, whichever the column."""
    pytest.importorskip("pandas")
    whole = finished.table()
    columns = {*finished.columns, *whole.columns, *whole.index.names} - {"psnr", "ssim", "lpips"}
    assert columns == set(validation.COLUMNS)
    for name in columns:
        with pytest.raises(BadPlugin, match=f"{name}: name='{name}' is not allowed; name takes none of"):
            registry.load([plugin(bringing("Metric", name), name)])

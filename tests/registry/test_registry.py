"""The registry: three sources, names that clash, and plugins that are broken."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from mdnbench import api, registry
from mdnbench.errors import BadPlugin, UnknownName
from mdnbench.registry import discovery

Plugin = Callable[..., Path]
Cli = Callable[..., subprocess.CompletedProcess[str]]

COPY = """
@mdnbench.hookimpl
def mdnbench_denoisers():
    build = lambda options, device, weights: lambda noisy, noise: noisy.clone()
    return [mdnbench.DenoiserSpec("{name}", "1", "returns its input", build)]
"""
BUILT_IN = {
    "denoisers": {"noisy", "median", "wavelet", "tv", "nlm"},
    "noises": {"gaussian", "poisson", "salt-pepper", "mixed", "speckle", "correlated"},
    "datasets": {"set12", "bsd68", "cbsd68", "kodak24", "mcmaster", "bsd400", "sk12"},
    "metrics": {"psnr", "ssim", "lpips"},
    "reporters": {"md", "csv", "json"},
}


def install(folder: Path, package: str, text: str, entry: str, *, name: str = "acme-denoisers") -> None:
    """Put a package with an entry point where an installer would: a module and its dist-info folder."""
    folder.mkdir(exist_ok=True)
    (folder / f"{package}.py").write_text("import mdnbench\n" + textwrap.dedent(text), encoding="utf-8")
    info = folder / f"{name.replace('-', '_')}-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.5\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[mdnbench]\n{entry} = {package}\n", encoding="utf-8")


def test_built_in_plugins_come_through_entry_points() -> None:
    """What mdnbench ships is found like everyone else's, and nothing of it is broken."""
    known = registry.load()
    assert known.broken == ()
    for specs, names in BUILT_IN.items():
        assert names <= set(getattr(known, specs))
    assert "mdnbench_noises (mdnbench " in known.noises.entry("gaussian").source.address


def test_a_file_is_a_plugin(plugin: Plugin) -> None:
    """The source `--plugin FILE.py`: its address is its path, and its digest is known."""
    path = plugin(COPY.format(name="copy"))
    entry = registry.load([path]).denoisers.entry("copy")
    assert entry.source.address == str(path)
    assert entry.source.path == path
    assert len(entry.source.digest) == 64


def test_a_folder_holds_plugins(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source MDNBENCH_PLUGINS: the Python files in it are plugins; naming one again does no harm."""
    path = plugin(COPY.format(name="copy"))
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    assert registry.load().denoisers.entry("copy").source.address == str(path)
    assert "copy" in registry.load([path, path]).denoisers


def test_fault_46_what_is_no_plugin_in_the_folder(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests and private modules next to plugins are not loaded as such, unless they are named."""
    path = plugin(COPY.format(name="copy"))
    for name in ("test_x", "conftest", "_private", "__init__"):
        plugin("raise ImportError('no plugin')", name)
    private = plugin(COPY.format(name="private"), "_named")
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    known = registry.load()
    assert known.broken == ()
    assert "copy" in known.denoisers
    assert "private" not in known.denoisers
    assert "private" in registry.load([private]).denoisers


def test_a_source_is_imported_alone(plugin: Plugin) -> None:
    """A source that went to another process as bytes: what it brings there, and nothing else; ours alone as well."""
    path = plugin(COPY.format(name="copy"))
    entry = registry.load([path]).denoisers.entry("copy")
    source = pickle.loads(pickle.dumps(entry.source))
    assert source == entry.source
    assert (source.ours, source.root, len(source.code)) == (False, path.parent, 64)
    known = registry.load_source(source)
    assert (list(known.denoisers), list(known.noises), list(known.datasets)) == (["copy"], [], [])
    noises = registry.load().noises.entry("gaussian").source
    assert (noises.ours, noises.value, noises.distribution) == (True, "mdnbench_noises", "mdnbench")
    assert "gaussian" in registry.load_source(pickle.loads(pickle.dumps(noises))).noises
    assert "copy" not in registry.ours().denoisers
    assert BUILT_IN["denoisers"] <= set(registry.ours().denoisers)


def test_a_source_that_is_broken_says_so(plugin: Plugin, tmp_path: Path) -> None:
    """Imported alone, each kind of fault is a BadPlugin that names the source."""
    for path in (plugin("1 / 0"), plugin("", "nothing"), tmp_path / "gone.py", plugin("").rename(tmp_path / "a.txt")):
        source = discovery.all_of([path])[-1]
        with pytest.raises(BadPlugin, match=f"the plugin {path} is broken: "):
            registry.load_source(source)


def test_a_revision_is_what_the_plugin_declares(plugin: Plugin) -> None:
    """The text of the file is not part of it: what counts of code is in the identity of outputs."""
    path = plugin(COPY.format(name="copy"))
    assert registry.load([path]).denoisers["copy"].revision == "1"


def test_an_installed_package_is_a_plugin(tmp_path: Path, cli: Cli) -> None:
    """A stranger's distribution with an entry point is listed and says where it comes from."""
    install(tmp_path / "site", "acme_copy", COPY.format(name="acme"), "acme")
    shown = cli("describe", "acme", "--json", PYTHONPATH=str(tmp_path / "site"))
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["origin"] == "acme_copy (acme-denoisers 2.5)"


def test_a_second_entry_point_of_one_name_is_not_skipped(tmp_path: Path, cli: Cli) -> None:
    """A stranger's entry point called `noises` stands beside ours; neither replaces the other."""
    install(tmp_path / "site", "acme_copy", COPY.format(name="acme"), "noises")
    listed = json.loads(cli("list", "--json", PYTHONPATH=str(tmp_path / "site")).stdout)
    assert "acme" in [each["name"] for each in listed["methods"]]
    assert "gaussian" in [each["name"] for each in listed["noises"]]


def test_fault_25_two_plugins_claim_one_name(plugin: Plugin, tmp_path: Path, cli: Cli) -> None:
    """Two plugins with one method name are an error that names both, through whichever sources they came."""
    first, second = (plugin(COPY.format(name="copy"), name) for name in ("first", "second"))
    with pytest.raises(BadPlugin, match="two plugins claim the method 'copy'") as error:
        registry.load([first, second])
    assert str(first) in str(error.value)
    assert str(second) in str(error.value)
    install(tmp_path / "site", "acme_noisy", COPY.format(name="noisy"), "acme")
    shown = cli("list", PYTHONPATH=str(tmp_path / "site"))
    assert shown.returncode == 2
    assert "acme_noisy (acme-denoisers 2.5)" in shown.stderr
    assert "mdnbench_classical (mdnbench" in shown.stderr


def test_fault_06_a_plugin_that_cannot_be_imported(tmp_path: Path, cli: Cli) -> None:
    """A broken package is listed with its reason, left out of `all`, and fatal only when it is named."""
    install(tmp_path / "site", "acme_broken", "import surely_not_installed", "acme")
    site = {"PYTHONPATH": str(tmp_path / "site")}
    listed = cli("list", "--json", **site)
    assert listed.returncode == 0
    (broken,) = json.loads(listed.stdout)["broken"]
    assert broken["name"] == "acme_broken (acme-denoisers 2.5)"
    assert "No module named 'surely_not_installed'" in broken["summary"]
    common = ("--sigma", 50, "--dataset", "sk12", "--metrics", "psnr")
    whole = cli("plan", "--methods", "all", *common, "--json", **site)
    assert whole.returncode == 0, whole.stderr
    assert "acme_broken" in whole.stdout
    named = cli("plan", "--methods", "noisy,acme", *common, **site)
    assert named.returncode == 2
    assert "surely_not_installed" in named.stderr
    assert len(named.stderr.splitlines()) == 1


@pytest.mark.parametrize("failure", ["raise SystemExit(3)", "1 / 0", "def broken(:", "raise MemoryError"])
def test_a_broken_file_in_the_folder_is_only_listed(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    """However a file in MDNBENCH_PLUGINS fails, the others load; the same file given by hand is an error."""
    path = plugin(failure, "bad")
    plugin(COPY.format(name="copy"), "good")
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    known = registry.load()
    assert "copy" in known.denoisers
    (broken,) = known.broken
    assert broken.source.path == path
    assert "\n" not in broken.reason
    with pytest.raises(BadPlugin, match="is broken"):
        known.denoisers.entry("bad")
    with pytest.raises(BadPlugin, match="is broken"):
        registry.load([path])


def test_an_unknown_name_tells_of_broken_plugins(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that a broken plugin may have brought is unknown; the message says which plugins are broken."""
    path = plugin("1 / 0", "bad")
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    with pytest.raises(UnknownName, match=f"Broken plugins: {path}"):
        registry.load().method("theirs")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("@mdnbench.hookimpl\ndef mdnbench_denoiser(): return []", "Did you mean 'mdnbench_denoisers'?"),
        (
            "def mdnbench_noises(): return []",
            "mdnbench_noises is not marked as a hook; put @mdnbench.hookimpl above it.",
        ),
        ("by = 3", "it brings nothing: a plugin has functions that are marked with @mdnbench.hookimpl."),
        ("@mdnbench.hookimpl\ndef mdnbench_noises(sigma): return []", "sigma"),
        ("@mdnbench.hookimpl\ndef mdnbench_noises(): return None", "NoneType"),
        ("@mdnbench.hookimpl\ndef mdnbench_noises(): return ['gaussian']", "a list of NoiseSpec; it gave a str"),
        (COPY.format(name="Copy It"), "'Copy It' cannot be a name"),
        (COPY.format(name="all"), "'all' cannot be a name"),
        ("@mdnbench.hookimpl\ndef mdnbench_metrics(): raise OSError('gone')", "OSError: gone"),
    ],
)
def test_a_plugin_that_breaks_the_rules_is_told_at_load(plugin: Plugin, text: str, says: str) -> None:
    """A misspelt hook, a wrong argument, a wrong result and an impossible name are reported when it is loaded."""
    with pytest.raises(BadPlugin) as error:
        registry.load([plugin(text)])
    assert says in str(error.value)


def test_a_hook_may_yield(plugin: Plugin) -> None:
    """What a hook gives one by one is taken as a list of it is."""
    path = plugin(COPY.format(name="copy").replace("return [", "yield ").replace(")]", ")"))
    assert "copy" in registry.load([path]).denoisers


def test_a_file_that_cannot_be_read_is_broken_like_others(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder it is listed, and the others load; given by hand it is an error."""
    source = Path("/proc/self/mem")  # which nobody can read from its beginning, whatever his rights
    if not source.is_file():
        pytest.skip("there is no file here that cannot be read")
    path = plugin(COPY.format(name="copy"), "good").with_name("bad.py")
    path.symlink_to(source)
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    known = registry.load()
    assert "copy" in known.denoisers
    (broken,) = known.broken
    assert (broken.source.address, broken.reason) == (str(path), "it cannot be read: Input/output error.")
    monkeypatch.delenv("MDNBENCH_PLUGINS")
    with pytest.raises(BadPlugin, match="is broken: it cannot be read"):
        registry.load([path])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_a_device_is_broken_and_not_read(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it would never end. In the folder it is listed, and the others load; given by hand it is an error."""
    path = plugin(COPY.format(name="copy"), "good").with_name("pipe.py")
    os.mkfifo(path)
    path.with_name("device.py").symlink_to("/dev/zero")
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    known = registry.load()
    assert "copy" in known.denoisers
    assert {(each.source.name, each.reason) for each in known.broken} == {
        (name, "it is a pipe or a device; a plugin is a regular file.") for name in ("pipe", "device")
    }
    monkeypatch.delenv("MDNBENCH_PLUGINS")
    with pytest.raises(BadPlugin, match="is broken: it is a pipe or a device"):
        registry.load([path])


def test_a_folder_that_is_none_is_listed(workspace: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    """MDNBENCH_PLUGINS that names no folder stands among the broken plugins; what is installed goes on working."""
    listed = cli("list", "--json", MDNBENCH_PLUGINS=str(workspace / "gone"))
    assert listed.returncode == 0, listed.stderr
    (broken,) = json.loads(listed.stdout)["broken"]
    assert broken["name"] == "MDNBENCH_PLUGINS"
    assert f"it names {workspace / 'gone'}, which is no folder" in broken["summary"]


def test_a_missing_file_is_an_error() -> None:
    """`--plugin` with a path that is not there says so."""
    with pytest.raises(BadPlugin, match="there is no file"):
        registry.load(["nowhere.py"])


def test_what_a_plugin_prints_stays_out_of_the_data(plugin: Plugin, cli: Cli) -> None:
    """A plugin that prints when it is imported does not spoil the JSON on stdout."""
    path = plugin("print('hello')\n" + COPY.format(name="copy"))
    listed = cli("list", "methods", "--plugin", path, "--json")
    assert "copy" in [each["name"] for each in json.loads(listed.stdout)["methods"]]
    assert "hello" in listed.stderr


def test_an_edited_file_is_loaded_anew(plugin: Plugin) -> None:
    """A notebook that edits its plugin gets the new text, not the one from before."""
    path = plugin(COPY.format(name="before"))
    first = registry.load([path]).denoisers.entry("before").source
    plugin(COPY.format(name="after"))
    second = registry.load([path]).denoisers.entry("after").source
    assert first.digest != second.digest
    assert os.fspath(path) == first.address == second.address


def test_the_text_that_was_digested_is_the_one_that_runs(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit that leaves a file's size and time as they were does not run what Python has kept of the former text."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = plugin(COPY.format(name="before"))
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    for name in ("before", "behind"):
        plugin(COPY.format(name=name))
        os.utime(path, ns=times)
        assert name in registry.load([path]).denoisers


def test_unknown_names_are_guessed() -> None:
    """Each shelf names the likeliest meaning and what there is."""
    known = registry.load()
    with pytest.raises(UnknownName, match=r"no method is named 'medain'\. Did you mean 'median'\?"):
        known.method("medain")
    with pytest.raises(UnknownName, match=r"no noise is named 'gausian'\. Did you mean 'gaussian'\?"):
        known.noise("gausian:50")
    with pytest.raises(UnknownName, match=r"no metric is named 'psrn'\. Did you mean 'psnr'\?"):
        known.metrics["psrn"]


def test_a_name_that_is_not_there_gets_the_default() -> None:
    """`get` gives None or the default for an unknown name, and the spec for a known one."""
    specs = registry.load().datasets
    assert specs.get("sk12") is specs["sk12"]
    assert specs.get("nowhere") is None
    assert specs.get("nowhere", 3) == 3


def test_a_single_path_is_one_plugin(plugin: Plugin) -> None:
    """A path stands for itself, not for its letters, as text or as a path, wherever plugin files are taken."""
    path = plugin(COPY.format(name="lone"))
    for given in (path, str(path), [path], (str(path),)):
        assert "lone" in registry.load(given).denoisers
        planned = api.plan(methods="lone", sigma=50, dataset="sk12", images="01", metrics="psnr", plugins=given)
        assert planned.registry.files == (path.resolve(),)

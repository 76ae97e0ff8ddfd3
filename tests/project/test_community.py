"""What stands beside the code: versions that agree, a citation, issue forms, workflows, and hooks before a commit."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import mdnbench

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCHEMAS = {
    ROOT / "CITATION.cff": "citation-file-format",
    **{path: "github-issue-config" if path.stem == "config" else "github-issue-forms" for path in FORMS},
    **dict.fromkeys(WORKFLOWS, "github-workflows"),
}


def text_of(name: str) -> str:
    """A file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program that the test extra installs."""
    path = TOOLS / name
    if not path.exists():
        pytest.skip(f"{name} is not installed")
    return subprocess.run(
        [str(path), *map(str, arguments)], capture_output=True, text=True, encoding="utf-8", check=False
    )


def test_the_version_is_the_same_everywhere() -> None:
    """The package, its metadata, the citation and the newest entry of the changelog name one version."""
    newest = re.search(r"^## (\S+) \((?:unreleased|\d{4}-\d\d-\d\d)\)$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    found = {
        mdnbench.__version__,
        tomllib.loads(text_of("pyproject.toml"))["project"]["version"],
        yaml.safe_load(text_of("CITATION.cff"))["version"],
        newest[1],
    }
    assert found == {mdnbench.__version__}


def test_the_licence_is_the_same_everywhere() -> None:
    """The text, the metadata and the citation say MIT."""
    assert text_of("LICENSE").startswith("MIT License\n\nCopyright (c) ")
    assert tomllib.loads(text_of("pyproject.toml"))["project"]["license"] == "MIT"
    assert yaml.safe_load(text_of("CITATION.cff"))["license"] == "MIT"


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_files_are_what_their_readers_take(path: Path, tmp_path: Path) -> None:
    """Each keeps to its published schema, and one with a foreign key would not."""
    schema = f"vendor.{SCHEMAS[path]}"
    done = tool("check-jsonschema", "--builtin-schema", schema, path)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / path.name
    broken.write_text(path.read_text(encoding="utf-8") + "\nforeign-key: {}\n", encoding="utf-8")
    assert tool("check-jsonschema", "--builtin-schema", schema, broken).returncode == 1


def test_workflows_cannot_be_abused() -> None:
    """No code from outside in scripts, no credentials left lying, no rights that are not needed, says zizmor."""
    config = ROOT / "tests" / "analysis" / "regression" / "zizmor.yml"
    done = tool("zizmor", "--offline", "--no-progress", "--config", config, *WORKFLOWS)
    assert done.returncode == 0, done.stdout
    release = yaml.safe_load(text_of(".github/workflows/release.yml"))
    assert release["permissions"] == {"contents": "read"}
    assert {name for name, job in release["jobs"].items() if "id-token" in job.get("permissions", {})} == {"publish"}
    assert "password" not in text_of(".github/workflows/release.yml").partition("name: release")[2]


def test_pre_commit_takes_its_configuration(tmp_path: Path) -> None:
    """The hooks pass pre-commit's own check of their form, without a warning, which does see a stage that is none."""
    passed = tool("pre-commit", "validate-config", ROOT / ".pre-commit-config.yaml")
    assert (passed.returncode, passed.stdout, passed.stderr) == (0, "", "")
    broken = tmp_path / "broken.yaml"
    broken.write_text(text_of(".pre-commit-config.yaml").replace("pass_filenames: false", "stages: [sometimes]"))
    assert tool("pre-commit", "validate-config", broken).returncode == 1


def test_hooks_run_what_every_push_checks() -> None:
    """Each hook has the version of the constraints, and its command is one of .ci/run's."""
    (repository,) = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"]
    pinned = set(text_of("constraints.txt").splitlines())
    script = text_of(".ci/run")
    for hook in repository["hooks"]:
        assert set(hook.get("additional_dependencies", ())) <= pinned
        program = hook["entry"].replace(" --force-exclude", "")
        assert f".venv/bin/{program}" in script
        assert tool(*hook["entry"].split(), "--help").returncode == 0


def test_the_guide_names_files_that_are_there() -> None:
    """Links and file names of CONTRIBUTING.md lead somewhere."""
    text = text_of("CONTRIBUTING.md")
    targets = re.findall(r"\]\(([^)#]+)", text) + re.findall(r"[\w.-]+(?:/[\w.-]+)*\.(?:py|toml|txt|cff|md)\b", text)
    assert len(targets) > 8
    gone = [target for target in targets if not (ROOT / target).exists()]
    assert gone == [], (
        "CONTRIBUTING.md names files that are not there: write their new paths, relative to the repository"
    )


def test_the_lock_file_has_the_versions_of_the_constraints_and_hashes() -> None:
    """Every package has hashes; every one that `constraints.txt` names has its version; ours need no other."""
    lock = text_of(".ci/requirements.lock")
    locked = dict(re.findall(r"^([\w.-]+)==(\S+) \\$", lock, re.MULTILINE))
    assert len(locked) == len(re.findall(r"^[\w.-]+==.*\\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE)) > 100
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", text_of("constraints.txt"), re.MULTILINE))
    plain = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins.items()}
    for name, version in locked.items():
        assert plain.get(re.sub(r"[-_.]+", "-", name).lower(), version) == version, name
    for wanted in tomllib.loads(text_of("pyproject.toml"))["project"]["dependencies"]:
        assert re.split(r"[<>=\[ ]", wanted)[0] in locked


def test_every_action_is_named_by_its_commit() -> None:
    """A tag may be moved to other code; the version stands beside it."""
    texts = [*(path.read_text(encoding="utf-8") for path in WORKFLOWS), text_of("action.yml")]
    used = re.findall(r"uses: (?!\./)(\S+)(.*)", "\n".join(texts))
    assert len(used) > 5
    for name, rest in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name), name
        assert re.fullmatch(r" # v[\d.]+", rest), name

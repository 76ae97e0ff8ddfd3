"""The training loop: it learns, says how it goes, and writes down what it did."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

from mdnbench import api, weights
from mdnbench.errors import BadFile, BadOption, BadPlugin, Interrupted, UnknownName, UsageError, WeightsError
from mdnbench.registry import Registry
from mdnbench.spec import tomlfile
from mdnbench.spec.weights import NoiseCoverage
from mdnbench.training import checkpoint, log, loop, optimisers, progress_meter
from mdnbench.training.recipe import Optimiser, RateSchedule, Recipe
from mdnbench.training.training_data import gather
from mdnbench.training.training_state import Average
from mdnbench.util import digests
from mdnbench.util.listener import Listener
from mdnbench.weights import Weights

Fit = Callable[..., Weights]


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.details: list[str] = []

    def note(self, text: str) -> None:
        """Keep a note."""
        self.notes.append(text)

    def progress(self, phase: str, done: float, doing: Any = (), detail: str = "") -> None:
        """Keep what a training says."""
        self.details.append(detail)


def log_of(home: Path) -> list[dict[str, str]]:
    """The lines of the one training below a home folder."""
    (path,) = (home / "training").glob("*/log.csv")
    return log.read(path)


def test_a_tiny_training_learns(fit: Fit, home: Path) -> None:
    """On a handful of cuts of photographs the loss falls, and validation ends above the noise's own 20.2 dB."""
    reports: list[log.TrainingProgress] = []
    made = fit(steps=120, changes={"batch": 4, "validation": {"every": 40}}, report=reports.append)
    losses = [float(line["loss"]) for line in log_of(home)]
    assert losses[-1] < 0.8 * losses[0]
    assert made.card.validation_psnr is not None
    assert made.card.validation_psnr > 22
    assert [report.step for report in reports][-1] == 120
    assert [report.progress for report in reports] == sorted(report.progress for report in reports)
    assert all(report.pixels_per_s > 0 and 0 <= report.outside <= 1 for report in reports)


def test_what_it_sets_in_torch_is_undone(fit: Fit, home: Path) -> None:
    """Threads, cuDNN's search and the global generator are the caller's own afterwards, also where training fails."""

    def settings() -> tuple[object, ...]:
        return torch.get_num_threads(), torch.backends.cudnn.benchmark, torch.get_rng_state().tolist()

    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # and the training is given one
    before = settings()
    fit(steps=2)
    with pytest.raises(Interrupted):
        fit(steps=3, stop=lambda: True)
    assert settings() == before
    torch.set_num_threads(threads)


def test_the_log_and_the_learning_curve(fit: Fit, home: Path) -> None:
    """A line per validation and one for the end, every column filled; a picture that can be opened."""
    fit(steps=10)
    lines = log_of(home)
    assert [line["step"] for line in lines] == ["4", "8", "10"]
    assert list(lines[0]) == [field.name for field in dataclasses.fields(log.TrainingProgress)]
    assert all(float(value) >= 0 for line in lines for value in line.values())
    assert float(lines[-1]["progress"]) == 1
    assert float(lines[-1]["lr"]) < float(lines[0]["lr"]) <= 1e-2
    (picture,) = (home / "training").glob("*/curve.png")
    with PIL.Image.open(picture) as opened:
        assert opened.size[0] > 300


def test_the_log_beyond_a_million_steps(tmp_path: Path) -> None:
    """Every step keeps all its digits, and a resumed training reads them."""
    path = tmp_path / "log.csv"
    record = log.CsvLog(path, 0)
    for step in (999_999, 1_000_000, 1_234_567, 1_300_000):
        record.add(log.TrainingProgress(step, 0.5, 60.0, 60.0, 1e-3, 0.1, 30.0, 1e6, 0.1))
    log.CsvLog(path, 1_234_567)
    assert [line["step"] for line in log.read(path)] == ["999999", "1000000", "1234567"]


def test_a_training_that_diverges_is_refused(fit: Fit, home: Path) -> None:
    """With an absurd learning rate there are no weights and no checkpoint, but a word on what to change."""
    absurd = {"optimiser": {"lr": 1e30, "clip": 0.0}}
    with pytest.raises(WeightsError, match=r"has diverged: at step 4 the loss is \w+; .*optimiser\.lr=1e-4.*clip"):
        fit(steps=8, changes=absurd)
    with pytest.raises(WeightsError, match="has diverged: at step 3 "):
        fit(steps=3, changes=absurd)
    assert weights.trained("tiny") == []
    assert not list((home / "training").glob("*/*.pt"))
    assert not any("nan" in line.values() for path in (home / "training").glob("*/log.csv") for line in log.read(path))


def test_a_training_that_diverges_keeps_the_checkpoint_before(
    home: Path, edited: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved after every step, a training whose loss is not a number from its seventh step on has a sound sixth."""
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    path = edited(".square().mean()", '.square().mean() * (float("nan") if moment.step >= 6 else 1)')
    with pytest.raises(WeightsError, match="at step 7 the loss is nan; no weights were written"):
        api.train("tiny", plugins=[path], steps=12, threads=1)
    (kept,) = (home / "training").glob("*/checkpoint.pt")
    saved = checkpoint.load(kept, "cpu")
    assert saved
    assert saved["step"] == 6
    assert loop.finite(saved["network"].values())
    assert weights.trained("tiny") == []


def test_what_counts_as_diverged() -> None:
    """A loss, a validation or a weight that is not finite; an image that was restored exactly is no such thing."""
    sound = [torch.ones(2), torch.tensor(7)]
    loop.require_finite(1, 0.1, float("inf"), sound)
    loop.require_finite(1, 0.1, None)
    for loss, psnr, values in (
        (float("inf"), 30.0, sound), (0.1, float("nan"), sound), (0.1, None, [*sound, torch.tensor([1, torch.inf])]),
    ):  # fmt: skip
        with pytest.raises(WeightsError, match="has diverged: at step 9"):
            loop.require_finite(9, loss, psnr, values)


def test_a_validation_whose_level_nobody_could_tell_is_refused(fit: Fit, home: Path) -> None:
    """Before anything is trained, where the network is told the level; a blind one is validated under any noise."""
    changes: dict[str, Any] = {"validation": {"noise": ["gaussian:25", "mixed"]}}
    with pytest.raises(BadFile, match=r"validates under mixed, which has no level .* blind = true"):
        fit(steps=4, changes={**changes, "blind": False})
    assert not (home / "training").exists()
    assert fit(steps=4, changes=changes).card.validation_psnr


def test_a_training_without_validation(fit: Fit, home: Path) -> None:
    """With no image held out, all are trained on, and no validation is claimed."""
    made = fit(steps=2, changes={"validation": {"count": 0}})
    assert made.card.validation_psnr is None
    assert [line["psnr"] for line in log_of(home)] == [""]


def test_the_card_says_how_the_weights_came_about(fit: Fit, home: Path, recipe: Recipe, known: Registry) -> None:
    """Noise, recipe, data, versions, device, minutes, validation and the file's own digest."""
    made = fit(steps=5, name="mine", exclude=["cat", "of another data set"])
    card = weights.read(made.path.with_suffix(".toml")).card
    assert card == made.card
    assert (made.name, made.path) == ("mine", home / "weights" / "tiny" / "mine.safetensors")
    assert (card.method, card.blind, card.steps, card.device) == ("tiny", True, 5, "cpu")
    assert card.revision == known.denoisers["tiny"].revision
    assert card.noise == (NoiseCoverage("gaussian", {"sigma": (20.0, 30.0)}),)
    assert card.left_out == ("cat",)
    assert card.mask == ""
    assert card.packages["torch"] == torch.__version__
    assert 0 < card.minutes + 0.01 < 1
    assert (card.sha256, card.bytes) == (digests.of_file(made.path), made.path.stat().st_size)
    again = tomlfile.build(Recipe, card.recipe, "the card's recipe")
    assert again.digest() == card.recipe_digest == recipe.within(steps=5).digest()


def test_images_that_overlap_test_data_are_left_out(home: Path, plugin_file: Path) -> None:
    """The cut of sk12's first image is found, named, kept from training and validation, and listed in the card."""
    heard = Heard()
    made = api.train("tiny", plugins=[plugin_file], listener=heard, steps=2, threads=1)
    assert heard.notes == ["left out of own, because they overlap sk12: cat"]
    assert made.card.left_out == ("cat",)
    assert "kpx/s" in heard.details[-1]


def test_leaving_images_out_moves_none_from_validation_into_training(known: Registry, recipe: Recipe) -> None:
    """Training, validation and what is left out share no image, whatever is left out."""
    own = known.datasets["own"]
    everything = gather(recipe, own, known.noises, (), False, "cpu")
    assert len(everything.images) == len(own.images) - recipe.validation.count
    held = set(own.images) - set(everything.images)
    for name in own.images:
        material = gather(recipe, own, known.noises, [name], False, "cpu")
        assert set(material.images) == set(everything.images) - {name}
        assert material.left_out == (name,)
        assert not held & set(material.images)
    with pytest.raises(UsageError, match="none of the 6 images of own is left to train on: 2 are held out"):
        gather(recipe, own, known.noises, everything.images, False, "cpu")


def test_a_finished_training_is_not_done_twice(fit: Fit, home: Path) -> None:
    """The same order again takes no step and gives the same weights; from scratch it takes them all, and the same."""
    reports: list[log.TrainingProgress] = []
    first = fit(steps=6)
    again = fit(steps=6, report=reports.append)
    assert reports == []
    assert again.sha256 == first.sha256
    assert fit(steps=6, resume=False, report=reports.append).sha256 == first.sha256
    assert reports[-1].step == 6


def test_minutes_end_on_time(fit: Fit) -> None:
    """A budget in minutes is kept."""
    made = fit(minutes=0.02, changes={"validation": {"every": 10_000}})
    assert 1.2 <= made.card.minutes * 60 + 0.4 < 10
    assert made.card.steps > 5


def test_the_learning_rate_is_down_when_the_minutes_end(
    fit: Fit, recipe: Recipe, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schedule runs to its end within a budget in minutes, here on a machine where each step takes 60 ms."""
    monkeypatch.setattr(progress_meter.TrainingClock, "elapsed", lambda clock: clock.step * 0.06)
    assert fit(minutes=0.02, changes={"validation": {"every": 10_000}}).card.steps == 20
    assert float(log_of(home)[-1]["lr"]) < 0.05 * recipe.optimiser.lr


def test_epochs(fit: Fit, home: Path) -> None:
    """An epoch is as many crops as there are images to train on, or as many as the recipe says."""
    assert fit(epochs=3).card.steps == 6
    assert fit(epochs=3, changes={"patches_per_epoch": 8}).card.steps == 12


def test_every_optimiser_and_schedule_runs(fit: Fit, home: Path) -> None:
    """Muon and AdamW, three schedules, three penalties' worth of settings, channels last or not: all of them train."""
    for index, changes in enumerate((
        {"optimiser": {"kind": "muon"}, "schedule": {"kind": "wsd"}, "precision": "bf16"},
        {"optimiser": {"clip": 0.0, "weight_decay": 0.01}, "schedule": {"kind": "exponential", "final": 1e-4}},
        {"flips": "none", "scales": [1.0, 0.5], "channels_last": False, "ema": 0.0},
    )):  # fmt: skip
        assert fit(steps=4, changes=changes, name=f"number{index}").card.steps == 4


def test_what_cannot_be_trained_is_refused(known: Registry, recipe: Recipe, plugin_file: Path) -> None:
    """A classical method, unknown data, an unknown recipe, a name that is none, a device that is not there."""
    with pytest.raises(UsageError, match="median is not a learned method"):
        loop.train(known.denoisers["median"], known.method("median"), recipe, data=known.datasets["own"], noises={})
    with pytest.raises(UnknownName, match=r"no training data set is named 'bsd40'\. Did you mean 'bsd400'"):
        api.train("tiny", plugins=[plugin_file], changes={"data": "bsd40"})
    with pytest.raises(UnknownName, match="Known: best"):
        api.train("tiny", plugins=[plugin_file], recipe="finest")
    for name in ("../up", "auto", "a,b", ""):
        with pytest.raises(BadOption, match="cannot be the name of weights"):
            api.train("tiny", plugins=[plugin_file], name=name)
    with pytest.raises(BadOption, match="'gaussian' is the name of weights that are shipped with unet"):
        api.train("unet", steps=1, name="gaussian")
    with pytest.raises(BadOption, match="device 'tpu' is not allowed"):
        api.train("tiny", plugins=[plugin_file], device="tpu")


def test_learning_rates() -> None:
    """Each schedule starts at the top after its warm-up and ends at the bottom; 'wsd' stays up until it falls."""
    settings = Optimiser(lr=1e-2, warmup=10)
    for kind in ("cosine", "exponential", "wsd"):
        schedule = RateSchedule(kind=kind, final=1e-4, cooldown=0.25)
        rates = [optimisers.rate(settings, schedule, step, step / 1000) for step in range(1001)]
        assert rates[0] == pytest.approx(1e-3, rel=0.01)
        assert rates[-1] == pytest.approx(1e-4)
        assert rates[10:] == sorted(rates[10:], reverse=True)
        assert (rates[740] == pytest.approx(1e-2)) == (kind == "wsd")


def test_muon_steps_along_a_semi_orthogonal_matrix() -> None:
    """All singular values come near 1, for wide matrices and tall ones."""
    for shape in ((3, 16, 40), (3, 40, 16)):
        values = torch.linalg.svdvals(
            optimisers.orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(1)))
        )
        assert values.shape == (3, 16)
        assert 0.5 < float(values.min()) <= float(values.max()) < 1.3


def test_muon_treats_every_parameter_by_itself() -> None:
    """Matrices of one shape are stepped together, vectors too, to the bits that each would get alone.

    One vector has no gradient in some steps, as a layer that only masked steps use: its average is its own.
    """
    random = torch.Generator().manual_seed(1)
    shapes = ((32, 16, 3, 3), (32, 16, 3, 3), (16, 64), (32,), (8, 1, 3, 3))
    start = [torch.randn(shape, generator=random) for shape in shapes]
    grads = [[torch.randn(shape, generator=random) for shape in shapes] for _ in range(4)]

    def trained(chosen: range) -> list[torch.Tensor]:
        parameters = [torch.nn.Parameter(start[index].clone()) for index in chosen]
        optimiser = optimisers.Muon(parameters, 1e-2, (0.9, 0.999), 0.01)
        for step, each in enumerate(grads):
            for index, parameter in zip(chosen, parameters, strict=True):
                parameter.grad = None if index == 3 and step % 2 else each[index].clone()
            optimiser.step()
        return [parameter.detach() for parameter in parameters]

    together = trained(range(5))
    for index in range(5):
        torch.testing.assert_close(trained(range(index, index + 1))[0], together[index], rtol=0, atol=1e-6)


def test_a_network_that_takes_only_some_sizes_is_named(home: Path, edited: Callable[[str, str], Path]) -> None:
    """Validation crops are larger than those that it learns from: its error is the method's, not the harness's."""
    odd = edited("return noisy - self.layers(noisy)", "assert noisy.shape[-1] == 32; return noisy - self.layers(noisy)")
    with pytest.raises(BadPlugin, match=r"the network is validated on \d+ x \d+ pixels: AssertionError"):
        api.train(
            "tiny", plugins=[odd], steps=2, threads=1, changes={"crop": 32, "validation": {"crop": 48, "every": 1}}
        )


def test_the_average_stands_in_and_steps_aside() -> None:
    """Inside, the network has its averaged weights; afterwards its own; without decay they are the same."""
    network = torch.nn.BatchNorm2d(2)
    average, plain = Average(network, 0.9), Average(network, 0.0)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.get_buffer("num_batches_tracked").fill_(7)
    average.update(1000)
    plain.update(0)
    with average.in_place():
        assert network.weight.tolist() == pytest.approx([1.2, 1.2])
        assert int(network.get_buffer("num_batches_tracked")) == 7
    assert network.weight.tolist() == [3.0, 3.0]
    assert torch.equal(plain.values["weight"], network.weight)

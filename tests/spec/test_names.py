"""Names with options: one grammar, and equal meanings are equal texts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdnbench.errors import BadOption, UnknownName
from mdnbench.spec.names import Named, Option, resolve, show, split_list, split_method, split_noise

SIGMA = Option("sigma", float, minimum=0, maximum=255, unit="on the 0-255 scale")
MIXED = (
    Option("sigma", float, default=25.0, minimum=0, maximum=255),
    Option("peak", float, default=60.0, minimum=0.01),
    Option("density", float, default=0.05, minimum=0, maximum=1),
)
METHOD = (
    Option("profile", str, default="np", choices=("np", "lc")),
    Option("steps", int, default=3, minimum=1, maximum=9),
    Option("fast", bool, default=False),
    Option("label", str, default="none"),
)

few = settings(derandomize=True, max_examples=80, deadline=None)


def noise(text: str, *declared: Option) -> Named:
    """A noise parsed against its parameters."""
    name, options = split_noise(text)
    return resolve("noise", name, options, declared or (SIGMA,))


def method(text: str) -> Named:
    """A method parsed against its options."""
    name, options = split_method(text)
    return resolve("method", name, options, METHOD)


@pytest.mark.parametrize("text", ["gaussian:50", "gaussian:sigma=50", " gaussian : sigma = 50.0 ", "gaussian:5e1"])
def test_equal_noises_have_one_text(text: str) -> None:
    """However a level is written, the canonical text is the same."""
    assert noise(text).text == "gaussian:sigma=50"
    assert noise(text).numbers() == {"sigma": 50.0}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("mixed", "mixed"),
        ("mixed:sigma=25,peak=60", "mixed"),
        ("mixed:density=0.10,sigma=30", "mixed:sigma=30,density=0.1"),
        ("mixed:peak=0.5", "mixed:peak=0.5"),
    ],
)
def test_defaults_are_left_out_and_the_order_is_the_declared_one(given: str, text: str) -> None:
    """The canonical text of a noise holds what differs from the defaults, in declared order."""
    assert noise(given, *MIXED).text == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("m", "m"),
        ("m[]", "m"),
        ("m[profile=np]", "m"),
        ("m[fast=yes,profile=lc]", "m[profile=lc,fast=true]"),
        ("m[fast=0,steps=4.0]", "m[steps=4]"),
    ],
)
def test_methods_stand_in_brackets(given: str, text: str) -> None:
    """A method's options are in square brackets, booleans in words."""
    assert method(given).text == text


@few
@given(
    profile=st.sampled_from(["np", "lc"]),
    steps=st.integers(1, 9),
    fast=st.booleans(),
    label=st.text(st.characters(codec="utf-8", exclude_characters="[],=", exclude_categories=("C", "Z")), min_size=1),
)
def test_a_method_reads_its_own_text(profile: str, steps: int, fast: bool, label: str) -> None:
    """Parsing a canonical text gives the same values and the same text."""
    options = {"label": label, "fast": fast, "steps": steps, "profile": profile}
    named = resolve("method", "m", options, METHOD)
    assert named.values() == options
    assert method(named.text) == named


@few
@given(sigma=st.floats(0, 255), peak=st.floats(0.01, 1e300), density=st.floats(0, 1))
def test_a_noise_reads_its_own_text(sigma: float, peak: float, density: float) -> None:
    """No float loses a bit on its way through the canonical text."""
    named = resolve("noise", "mixed", {"sigma": sigma, "peak": peak, "density": density}, MIXED)
    assert noise(named.text, *MIXED) == named
    assert named.numbers() == {"sigma": sigma, "peak": peak, "density": density}


@few
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_shortest_form_means_the_same_number(value: float) -> None:
    """Numbers are shown in the fewest characters that still mean them."""
    assert float(show(value)) == value
    assert not show(value).endswith(".0")


@few
@given(st.integers(-(10**30), 10**30))
def test_whole_numbers_are_exact(value: int) -> None:
    """A whole number of any length is taken as it stands."""
    option = Option("n", int)
    assert option.parse(str(value), "x") == value


def test_equal_texts_have_equal_values() -> None:
    """Minus zero is zero, and a default written as a whole number is the float that it stands for."""
    plain, signed = noise("gaussian:0"), noise("gaussian:-0")
    assert (plain.text, repr(plain.options)) == (signed.text, repr(signed.options))
    option = Option("h", float, default=1)
    unsaid, said = (resolve("method", "m", given, (option,)) for given in ({}, {"h": "1"}))
    assert unsaid.text == said.text == "m"
    assert repr(unsaid.options) == repr(said.options)


@pytest.mark.parametrize("value", ["-1", "256", "900", "nan", "inf", "-inf", "1e999", "many", "", "0x10"])
def test_a_level_out_of_range_says_what_is_allowed(value: str) -> None:
    """Negative, too high, infinite, missing or no number at all: refused with the range."""
    with pytest.raises(BadOption, match="sigma takes a number from 0 to 255"):
        noise(f"gaussian:sigma={value}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gaussian", "needs sigma"),
        ("gaussian:50,60", "twice"),
        ("gaussian:sigma=5,sigma=6", "twice"),
        ("gaussian:50,sigma=25", "twice"),
        ("Gaussian:50", "lower-case"),
        (":50", "is not a name"),
        ("", "is not a name"),
        ("../etc:50", "is not a name"),
    ],
)
def test_a_malformed_noise_is_refused(text: str, says: str) -> None:
    """What is ambiguous or no name is never guessed at."""
    with pytest.raises(BadOption, match=says):
        noise(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("m[profile=lc", "closing bracket"),
        ("m[profile=xx]", "one of np, lc"),
        ("m[steps=2.5]", "a whole number from 1 to 9"),
        ("m[fast=maybe]", "true or false"),
        ("m[label=]", "a text"),
        ("m[5]", "bare value"),
    ],
)
def test_a_malformed_method_is_refused(text: str, says: str) -> None:
    """Each wrong option says what it takes."""
    with pytest.raises(BadOption, match=says):
        method(text)


def test_a_misspelt_option_is_guessed_in_the_message() -> None:
    """The message names the likeliest option and all that there are."""
    with pytest.raises(UnknownName, match=r"Did you mean 'profile'\? Known: fast, label, profile, steps"):
        method("m[profil=lc]")


def test_lists_split_outside_brackets_only() -> None:
    """Commas inside brackets belong to the method."""
    assert split_list("m[a=1,b=2], nlm ,,tv[x=3]") == ["m[a=1,b=2]", "nlm", "tv[x=3]"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (Option("a", float, minimum=0, maximum=255, unit="levels"), "a number from 0 to 255 (levels)"),
        (Option("a", int, minimum=1), "a whole number of at least 1"),
        (Option("a", float, maximum=0.5), "a number of at most 0.5"),
        (Option("a", bool), "true or false"),
        (Option("a", int, choices=(4, 8)), "one of 4, 8"),
    ],
)
def test_options_say_what_they_take(option: Option, words: str) -> None:
    """Ranges and units are told in words."""
    assert option.takes() == words


def test_numbers_are_floats_for_a_noise() -> None:
    """A noise is given floats, whatever the declared type."""
    width = resolve("noise", "n", {"w": "3"}, (Option("w", int),)).numbers()["w"]
    assert isinstance(width, float)
    assert math.isclose(width, 3)

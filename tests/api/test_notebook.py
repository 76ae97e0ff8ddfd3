"""Results as a notebook has them: tables as HTML and pandas, comparisons, and figures of real images."""

from __future__ import annotations

import ast
import base64
import io
import typing
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import PIL.Image
import pytest

import mdnbench
from mdnbench import errors
from mdnbench.api.notebook import Progress, listener
from mdnbench.planning import request
from mdnbench.results import crops
from mdnbench.results.image_source import ImageCase, ImageSource
from mdnbench.results.render import html
from mdnbench.results.table import Cell, Table, words
from mdnbench.util.digests import of_pixels

STRONG, WEAK = "gaussian:sigma=50", "gaussian:sigma=25"


class Texts(HTMLParser):
    """The texts of a piece of HTML by element, and every element's name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.path: list[str] = []
        self.tags: set[str] = set()
        self.found: list[tuple[str, str]] = []
        self.feed(html)
        assert self.path == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Go in."""
        self.path.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        """Go out."""
        assert self.path.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note a text with the element that holds it."""
        if data.strip() and self.path[-1] != "style":
            self.found.append((self.path[-1], data.strip()))


def test_everything_offered_has_its_real_type() -> None:
    """Each name of the package is imported from the same home for type checkers as at run time."""
    tree = ast.parse(Path(mdnbench.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert typed == mdnbench._HOMES


def test_the_typed_keywords_of_run_are_the_keys_of_a_request() -> None:
    """What an editor offers for `run(` is what a request takes."""
    assert set(typing.get_type_hints(request.RunKeys)) == set(typing.get_type_hints(request.Request))
    assert set(typing.get_type_hints(request.Keys)) == set(typing.get_type_hints(request.Request)) - {"plugins"}


def test_a_table_is_pandas_best_first(finished: mdnbench.Results) -> None:
    """One noise gives methods by quality with the means of the run; several have the noise as first index."""
    table = finished.table("gaussian:50")
    assert list(table.index) == ["median", "noisy"]
    assert list(table.columns) == ["psnr", "ssim", "seconds", "ok", "total"]
    means = {(row.noise, row.method): row.means for row in finished.means}
    assert table.loc["median", "psnr"] == means[STRONG, "median"]["psnr"]
    both = finished.table()
    assert both.index.names == ["noise", "method"]
    assert both.loc[(WEAK, "noisy"), "ssim"] == means[WEAK, "noisy"]["ssim"]
    with pytest.raises(errors.UnknownName, match="no noise in the run is named 'poisson:peak=30'"):
        finished.table("poisson:30")


def test_results_show_their_tables(finished: mdnbench.Results) -> None:
    """The HTML holds what stands above the tables, both tables with their marks, and loads nothing."""
    html = finished._repr_html_()
    texts = Texts(html)
    for table in finished.tables:
        assert ("caption", table.caption) in texts.found
        best, second = table.column("psnr").values()
        assert (best.mark, second.mark) == ("best", "second")
        assert ("b", best.text) in texts.found
        assert ("u", second.text) in texts.found
        assert [("th", name) in texts.found for name in table.names] == [True, True]
    assert any(text.startswith("data sk12 (") for _, text in texts.found)
    assert texts.tags <= {"div", "style", "p", "table", "caption", "thead", "tbody", "tr", "th", "td", "b", "u"}
    assert "url(" not in html
    assert repr(finished) == "<mdnbench.Results 'done': 8 ok; 2 methods, 2 noises, 2 images>"


def test_no_text_is_taken_for_markup() -> None:
    """Names, notes and reasons come from plugins and folders: whatever they hold, it is shown and not obeyed."""
    nasty = "<script>alert('x')</script>&\x1b[31m"
    table = Table.of(nasty, [words(nasty), words(nasty)], [[nasty, Cell(nasty, mark="best")]], [nasty])
    texts = Texts(html.block([html.render(table), html.paragraph(nasty)]))
    assert "script" not in texts.tags
    assert [text for _, text in texts.found] == [nasty.replace("\x1b", "\\x1b")] * 7


def test_a_comparison_shows_itself(finished: mdnbench.Results) -> None:
    """The same comparison as from the function, and its HTML has means, records, pairs and the sentences."""
    found = mdnbench.compare(finished, metrics=["psnr"], against="median")
    assert found == mdnbench.compare(finished, metrics=["psnr"], against="median")
    texts = [text for _, text in Texts(found._repr_html_()).found]
    assert f"{STRONG} · PSNR dB ↑" in texts
    assert {"Wins/ties/losses", "p (Holm)", "2/0/0"} <= set(texts)
    assert any(text.startswith("2 images are few.") for text in texts)


def test_a_verdict_shows_itself(finished: mdnbench.Results, tmp_path: Path) -> None:
    """The conclusion, every mean with its baseline, what fell in bold, and what the tolerances rest on."""
    mdnbench.write_baseline(finished, tmp_path / "base")
    passed = Texts(mdnbench.check(finished, tmp_path / "base")._repr_html_())
    assert ("p", f"done against {tmp_path / 'base'}: no regression (8 means compared)") in passed.found
    assert {("caption", STRONG), ("caption", WEAK), ("td", "pass")} <= set(passed.found)
    assert "b" not in passed.tags

    cells = pandas.read_csv(tmp_path / "base.csv", dtype={"image": str})
    cells.loc[cells["method"] == "median", "psnr"] += 1
    cells.to_csv(tmp_path / "base.csv", index=False)
    fell = Texts(mdnbench.check(finished, tmp_path / "base")._repr_html_())
    assert fell.found.count(("b", "REGRESSION")) == 2
    assert "2 means fell" in fell.found[0][1]
    assert fell.found.count(("td", "pass")) == 6
    assert any(tag == "p" and text.startswith("warning: ") for tag, text in fell.found)
    assert any(tag == "p" and text.startswith("tolerance ") for tag, text in fell.found)


def test_claims_show_themselves(finished: mdnbench.Results, tmp_path: Path) -> None:
    """What was printed beside what was measured, each number with its source, as plain text."""
    more = tmp_path / "more.csv"
    more.write_text(
        "method,dataset,noise,sigma,image,metric,value,source\nmedian,sk12,gaussian,50,01,psnr,20.5,<b>A paper</b>\n",
        encoding="utf-8",
    )
    html = mdnbench.claims(finished, references=[more])._repr_html_()
    texts = Texts(html)
    assert ("caption", f"Published numbers · {STRONG}") in texts.found
    row = texts.found.index(("td", "20.50"))
    assert [text for _, text in texts.found[row - 4 : row]] == ["median", "median", "01", "PSNR"]
    assert ("p", "[1] <b>A paper</b>") in texts.found
    assert "b" not in texts.tags


def test_a_long_call_draws_a_bar_in_a_notebook_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One output is drawn anew: bars go when their phase ends, notes stay; outside a kernel nothing is drawn."""
    display = pytest.importorskip("IPython.display", reason="IPython is not installed")
    assert type(listener()) is mdnbench.Listener
    pages: list[str] = []

    class Output:
        """What IPython gives for an output that may be drawn anew."""

        def update(self, page: Any) -> None:
            """Draw."""
            pages.append(page.data)

    def show(page: Any, *, display_id: bool) -> Output:
        assert display_id
        assert pages == []
        pages.append(page.data)
        return Output()

    monkeypatch.setattr(display, "display", show)
    bar = Progress()
    bar.begin("cells", 8)
    bar.progress("cells", 3, ["<b>median</b>"], "2 left")
    bar.note("a note & more")
    assert '<progress value="3" max="8"></progress> cells: 3 of 8 · &lt;b&gt;median&lt;/b&gt; · 2 left' in pages[-1]
    assert ("p", "a note & more") in Texts(pages[-1]).found
    bar.end("cells")
    assert [text for _, text in Texts(pages[-1]).found] == ["a note & more"]


def drawn(figure: Any) -> dict[str, list[Any]]:
    """The pixels of a figure by the title that they stand under: whole, then detail."""
    found = {}
    for panel in figure.chart["concat"]:
        if "vconcat" in panel:
            whole, detail = panel["vconcat"]
            pixels = [pixels_of(each["mark"]["url"]) for each in (whole["layer"][0], detail)]
            found["\n".join(whole["title"]["text"])] = pixels
    return found


def pixels_of(url: str) -> Any:
    """The pixels of an image that stands in a chart itself."""
    with PIL.Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,")))) as image:
        return np.asarray(image)


def test_a_figure_holds_the_pixels_that_were_scored(finished: mdnbench.Results) -> None:
    """Clean, noisy and each method with its value, best first; the PSNR of the pixels drawn is the value above them."""
    pictures = drawn(finished.show("02", noise="gaussian:50"))
    titles = list(pictures)
    assert titles[:2] == ["clean", "noisy"]
    assert [title.partition("\n")[0] for title in titles[2:]] == ["median", "noisy"]
    clean = pictures["clean"][0].astype(float)
    for title in titles[2:]:
        mse = np.mean((pictures[title][0] - clean) ** 2)
        assert title.endswith(f"\n{10 * np.log10(255**2 / mse):.2f} dB")
    assert all(detail.shape == (64, 64) for _, detail in pictures.values())


OWN = """
    @mdnbench.hookimpl
    def mdnbench_denoisers():
        strength = mdnbench.Option("strength", float, 0.9, minimum=0, maximum=1)
        def build(options, device, weights):
            return lambda noisy, noise: noisy * options["strength"]
        return [mdnbench.DenoiserSpec("own", "1", "", build, (strength,))]
"""


def test_a_method_of_the_run_is_drawn_without_its_plugin(plugin: Callable[..., Path], workspace: Path) -> None:
    """The run's own text is enough when the file is gone; another text is still looked up, and refused by name."""
    path = plugin(OWN)
    mdnbench.run(
        methods=["own[strength=0.8]", "median"], plugins=[str(path)], noise="gaussian:50", dataset="sk12", images="01",
        metrics="psnr", timing=False, jobs=1, out="orphan",
    )  # fmt: skip
    path.unlink()
    found = mdnbench.open_run("orphan")
    named = drawn(found.show(methods="own[strength=0.8]"))
    assert [title.partition("\n")[0] for title in list(named)[2:]] == ["own[strength=0.8]"]
    assert len(drawn(found.show(methods=["own[strength=0.8]", "median"]))) == 4
    with pytest.raises(errors.UnknownName, match="no method is named 'own'"):
        found.show(methods="own[strength=0.80]")


def test_the_detail_is_where_the_outputs_err_most_or_as_asked(finished: mdnbench.Results) -> None:
    """Without `crop` it is the square of greatest error; with it, that part of the image."""
    pictures = drawn(finished.show(methods="median"))
    clean, median = pictures["clean"], next(value for title, value in pictures.items() if title.startswith("median"))
    left, top, width, height = crops.hardest(clean[0], {"median": median[0]}, 64)
    assert (clean[1] == clean[0][top : top + height, left : left + width]).all()
    own = drawn(finished.show(crop=(10, 20, 50, 40)))["clean"]
    assert (own[1] == own[0][20:60, 10:60]).all()
    for wrong in [(0, 0, 0, 10), (-1, 0, 5, 5), (250, 0, 20, 20)]:
        with pytest.raises(errors.BadOption, match="is not inside the image"):
            finished.show(crop=wrong)


def test_a_figure_is_a_picture_in_any_notebook(finished: mdnbench.Results) -> None:
    """It brings its own PNG."""
    assert finished.show()._repr_png_().startswith(b"\x89PNG")


def test_a_figure_is_saved_by_its_ending(finished: mdnbench.Results, tmp_path: Path) -> None:
    """SVG, PDF and PNG are written; another ending is refused before anything is drawn."""
    figure = finished.show()
    for ending, start in ((".svg", b"<svg"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")):
        figure.save(tmp_path / f"figure{ending}")
        assert (tmp_path / f"figure{ending}").read_bytes().startswith(start)
    with pytest.raises(errors.BadOption, match=r"svg, pdf, png, not as 'figure\.jpg'"):
        figure.save(tmp_path / "figure.jpg")
    assert not (tmp_path / "figure.jpg").exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"image": "99"}, "no image of the run is named '99'"),
        ({"methods": ["bm3d"]}, "no method in the run is named 'bm3d'"),
        ({"seed": 1}, "seed 1 is not in the run; it has seeds 0 to 0"),
        ({"noise": "poisson:30"}, "no noise in the run is named 'poisson:peak=30'"),
    ],
)
def test_what_the_run_lacks_is_said(finished: mdnbench.Results, asked: dict[str, Any], message: str) -> None:
    """A wrong image, method, seed or noise is named, with what there is."""
    with pytest.raises(errors.UsageError, match=message):
        finished.show(**asked)


def test_outputs_that_were_not_kept_are_named(workspace: Path) -> None:
    """Clean and noisy images are there all the same, made again to the same bits; the panel says what is missing."""
    found = mdnbench.run(
        methods="median", noise="speckle:20", dataset="sk12", images="01", metrics="psnr", timing=False,
        keep_images="none", out="bare",
    )  # fmt: skip
    figure = found.show()
    assert list(drawn(figure)) == ["clean", "noisy"]
    assert figure.chart["concat"][-1]["mark"]["text"] == ["this output was not stored"]
    (row,) = found.rows()
    noisy = ImageSource(found).noisy(ImageCase.of(row))
    assert noisy is not None
    assert of_pixels(noisy) == row.noisy_digest

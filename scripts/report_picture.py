"""Make a picture of a report's viewer for the README.

Usage: report_picture.py REPORT.html PICTURE.webp [IMAGE]

The script needs playwright and Chromium. Use it only for reports of sk12, whose images may be published.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import PIL.Image
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 1360, 960
QUALITY = 82


def main() -> None:
    """Open the report, choose an image, and save a picture of the viewer."""
    report, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", reduced_motion="reduce"
        )
        page.goto(report.as_uri())
        page.wait_for_selector("html[data-ready]")
        shot = _viewer(page, sys.argv[3] if len(sys.argv) > 3 else "")
        browser.close()
    with PIL.Image.open(io.BytesIO(shot)) as picture:
        picture.convert("RGB").save(target, format="WEBP", quality=QUALITY, method=6)
    print(f"{target}: {target.stat().st_size / 1024:.0f} KiB")


def _viewer(page: Page, image: str) -> bytes:
    if image:
        labels = page.eval_on_selector_all("#view-image option", "all => all.map(each => each.textContent)")
        wanted = next(label for label in labels if label.split(" ")[0] == image)
        page.select_option("#view-image", label=wanted)
    page.click("#view-mode button[data-mode='grid']")
    page.wait_for_timeout(800)  # until everything is drawn and no transition is running
    page.locator("#viewer").evaluate("viewer => viewer.scrollIntoView({ block: 'end' })")
    return page.locator("#viewer").screenshot()


main()

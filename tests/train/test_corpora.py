"""The readers of sense-annotated corpora, on lines written here."""

from __future__ import annotations

import gzip
import json
from functools import partial

import pytest

from spacy_attn.errors import RecordError
from spacy_attn.train.corpora import (
    TaggedSentence,
    corpus_files,
    held_out_texts,
    read_masc,
    read_records,
    read_semcor,
    read_tagged,
    read_texts,
    read_wordnet_examples,
    read_written,
    split_corpora,
)
from spacy_attn.wsd.inventory.wordnet_files import WordNet


def write(path, records):
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return path


def test_semcor_splits_collocations_and_leaves_out_unknown_keys(tmp_path, toy_wordnet):
    path = write(
        tmp_path / "semcor.jsonl.gz",
        [
            {
                "doc": "d1",
                "tokens": ["the", "river_bank", "hit", "it"],
                "senses": [
                    [1, ["river_bank%1:17:00::"]],
                    [2, ["hit%2:99:99::", "hit%2:35:00::"]],
                    [3, ["it%1:00:00::"]],
                ],
            }
        ],
    )
    assert list(read_semcor(path, WordNet(toy_wordnet))) == [
        TaggedSentence(
            "d1",
            "semcor",
            ["the", "river", "bank", "hit", "it"],
            [(1, 3, ["river_bank%1:17:00::"]), (3, 4, ["hit%2:35:00::"])],
        )
    ]


def test_masc_drops_the_file_name_of_each_document(tmp_path, toy_wordnet):
    def line(doc, token, keys):
        return {
            "doc": doc,
            "genre": "g",
            "tokens": [token],
            "senses": [[0, token, "NOUN", keys]],
        }

    both = ["bat%1:05:00::", "bat%1:06:00::"]
    path = write(
        tmp_path / "masc.jsonl.gz",
        [line("a", "name", []), line("a", "bat", both), line("b", "bat", both)],
    )
    assert list(read_masc(path, WordNet(toy_wordnet))) == [
        TaggedSentence("a", "g", ["bat"], [(0, 1, both)])
    ]


def test_wordnet_examples_find_the_word_by_its_form(toy_wordnet):
    found = {
        keys[0]: " ".join(sentence.tokens[start:end])
        for sentence in read_wordnet_examples(WordNet(toy_wordnet))
        for start, end, keys in sentence.targets
    }
    # river_bank has one sense only, so its example teaches nothing; hit%2:41 has no example
    assert found == {
        "bat%1:05:00::": "bat",
        "bat%1:06:00::": "bat",
        "bank%1:14:00::": "bank",
        "bank%1:17:00::": "bank",
        "hit%2:35:00::": "hits",
    }


def test_split_holds_out_whole_documents_and_genres():
    semcor = [TaggedSentence(f"d{i % 20}", "semcor", ["x"], []) for i in range(100)]
    masc = [TaggedSentence(f"m{i}", f"g{i % 6}", ["x"], []) for i in range(12)]
    split = split_corpora(semcor, masc, [])
    trained = [sentence for document in split.train for sentence in document]
    assert len({s.doc for s in split.held_out["semcor"]}) == 2
    assert len(split.held_out) == 1 + 3
    held_out = [s for part in split.held_out.values() for s in part]
    assert len(trained) + len(held_out) == 112
    assert not {s.doc for s in trained} & {s.doc for s in held_out}
    assert not {s.genre for s in trained if s.genre != "semcor"} & {
        s.genre for s in held_out if s.genre != "semcor"
    }
    again = split_corpora(semcor, masc, [])
    assert again == split


def test_a_written_word_is_held_out_with_all_its_sentences():
    written = [
        TaggedSentence(f"{word}-{i}", "written", ["x"], [(0, 1, [f"{word}%{kind}::"])])
        for word in (
            "bat",
            "bank",
            "hit",
            "note",
            "pitch",
            "light",
            "spring",
            "mouse",
            "key",
            "run",
        )
        for i, kind in enumerate((1, 1, 2))
    ]
    split = split_corpora([], [], [], written=written)
    lemma = lambda s: s.targets[0][2][0].partition("%")[0]  # noqa: E731
    out = {lemma(s) for s in split.held_out["written"]}
    kept = {lemma(s) for document in split.train for s in document}
    assert out
    assert kept
    assert not out & kept
    # A hash of the lemma decides: a corpus that grows keeps what it held out.
    more = split_corpora([], [], [], written=written * 2)
    assert {lemma(s) for s in more.held_out["written"]} == out


TAGGED = [
    {
        "of": "hit%2:35:00::",
        "kind": "def",
        "tokens": ["strike", "a", "bat", "cave", "."],
        "senses": [
            [0, 1, "strike", "v", ["strike%2:99:00::"], "man"],  # not in this WordNet
            [2, 3, "bat", "n", ["bat%1:06:00::"], "man"],
            [3, 4, "bank", "n", ["bank%1:17:00::"], "auto"],
        ],
    },
    {
        "of": "x",
        "kind": "def",
        "tokens": ["a", "bank"],
        "senses": [[1, 2, "bank", "n", ["bank%1:17:00::"], "auto"]],
    },
]


def test_a_tagged_file_gives_what_a_person_tagged(tmp_path, toy_wordnet):
    path = write(tmp_path / "wngt_verb_adv.jsonl.gz", TAGGED)
    tokens = ["strike", "a", "bat", "cave", "."]
    bat, bank = (2, 3, ["bat%1:06:00::"]), (3, 4, ["bank%1:17:00::"])
    wordnet = WordNet(toy_wordnet)
    assert list(read_tagged(path, wordnet)) == [
        TaggedSentence("hit%2:35:00::", "wngt", tokens, [bat])
    ]
    assert [s.targets for s in read_tagged(path, wordnet, ("man", "auto"))] == [
        [bat, bank],
        [(1, 2, ["bank%1:17:00::"])],
    ]


@pytest.mark.parametrize(
    ("name", "genre"),
    [("silver_noun_adj_gloss", "silver"), ("pmb4_gold_en", "pmb"), ("mine", "tagged")],
)
def test_the_name_of_a_tagged_file_says_its_genre(tmp_path, toy_wordnet, name, genre):
    path = write(tmp_path / f"{name}.jsonl.gz", TAGGED)
    assert [s.genre for s in read_tagged(path, WordNet(toy_wordnet))] == [genre]


def test_a_written_sentence_has_the_word_between_brackets(tmp_path):
    (tmp_path / "000.tsv").write_text(
        "bat%1:05:00::\tThe [[bats]] didn't fly.\nget_up%2:38:00::\tShe [[got up]] late.\n"
    )
    (tmp_path / "README.md").write_text("no sentences")
    assert list(read_written(tmp_path)) == [
        TaggedSentence(
            "000-1",
            "written",
            ["The", "bats", "did", "n't", "fly", "."],
            [(1, 2, ["bat%1:05:00::"])],
        ),
        TaggedSentence(
            "000-2", "written", ["She", "got", "up", "late", "."], [(1, 3, ["get_up%2:38:00::"])]
        ),
    ]


@pytest.mark.parametrize(
    "line",
    ["The [[bat]] flew.", "bat%1:05:00::\tThe bat flew.", "x\tA [[b]] and a [[b]].", "x\t[[]]"],
)
def test_another_line_is_refused_with_its_number(tmp_path, line):
    (tmp_path / "000.tsv").write_text(f"x\tA [[good]] one.\n{line}\n")
    with pytest.raises(RecordError, match=r"000\.tsv, line 2: must be a sense key, a tab and"):
        list(read_written(tmp_path))


ANIMAL, CLUB = "bat%1:05:00::", "bat%1:06:00::"


def test_a_link_to_a_folder_is_followed_once(tmp_path):
    corpus, apart = tmp_path / "corpus", tmp_path / "apart"
    for folder, name in ((corpus, "b.tsv"), (apart / "more", "a.tsv"), (apart, "a.jsonl")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (corpus / "texts").symlink_to(apart)
    (apart / "back").symlink_to(corpus)

    files = corpus_files(corpus, ".tsv")

    assert [file.relative_to(corpus).as_posix() for file in files] == ["b.tsv", "texts/more/a.tsv"]


def test_a_running_text_is_cut_into_sentences(tmp_path, toy_wordnet):
    line = {
        "text": "TWO BATS\n\nThe bats caught the bass off. A bat flew.",
        "senses": [
            [4, 8, ["bat%1:05:00::"]],
            [14, 18, ["bat%1:05:00::", "no%1:00:00::"]],
            [30, 34, []],
            [42, 45, ["bat%1:05:00::", "bat%1:06:00::"]],
        ],
    }
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "news.jsonl").write_text(json.dumps(line) + "\n")
    assert list(read_texts(tmp_path, WordNet(toy_wordnet))) == [
        TaggedSentence("texts/news-1", "texts", ["TWO", "BATS", "\n\n"], [(1, 2, [ANIMAL])]),
        TaggedSentence(
            "texts/news-1",
            "texts",
            ["The", "bats", "caught", "the", "bass", "off", "."],
            [(1, 2, [ANIMAL])],
        ),
        TaggedSentence(
            "texts/news-1", "texts", ["A", "bat", "flew", "."], [(1, 2, [ANIMAL, CLUB])]
        ),
    ]


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ('{"text": "A bat flew."}', r"n\.jsonl, line 1: must have a text and senses in order"),
        ('{"text": "A bat flew.", "senses": [[2, 5]]}', "line 1: must have a text and senses"),
        ('{"text": "A bat flew.", "senses": [[2, 5, "key"]]}', "line 1: must have a text and"),
        ('{"text": "A bat flew.", "senses": [[2, 5, [1]]]}', "line 1: must have a text and"),
        ('{"text": "A bat flew.", "senses": [[5, 2, []]]}', "line 1: must have a text and"),
        ('{"text": "A bat flew.", "senses": [[2, 50, []]]}', "line 1: must have a text and"),
        ('{"text": "A bat.", "senses": [[2, 5, []], [0, 1, []]]}', "must have a text and senses"),
        ('{"text": 5, "senses": []}', "line 1: must have a text and senses"),
        ('{"text": "A bat flew.", "senses": [[2, 4, []]]}', "the sense 2 to 4 does not stand on"),
        ("{", r"n\.jsonl, line 1: not JSON"),
    ],
)
def test_another_record_is_refused_with_its_place(tmp_path, toy_wordnet, line, match):
    (tmp_path / "n.jsonl").write_text(line + "\n")
    with pytest.raises(RecordError, match=match):
        list(read_texts(tmp_path, WordNet(toy_wordnet)))


def test_held_out_texts_are_those_of_the_split(tmp_path, toy_wordnet):
    line = json.dumps({"text": "A bat flew.", "senses": [[2, 5, ["bat%1:05:00::"]]]})
    (tmp_path / "n.jsonl").write_text(f"{line}\n" * 30)
    texts = list(read_texts(tmp_path, WordNet(toy_wordnet)))
    held_out = {s.doc for s in split_corpora([], [], [], texts).held_out["texts"]}
    assert set(held_out_texts(tmp_path)) == held_out
    # The split is part of what models are measured on: it must not move.
    assert sorted(held_out)[:3] == ["texts/n-16", "texts/n-2", "texts/n-21"]


def test_a_running_text_is_held_out_whole():
    texts = [
        TaggedSentence(f"texts/a-{i}", "texts", ["A", "bat"], [(1, 2, ["bat%1:05:00::"])])
        for i in range(40)
        for _ in range(2)
    ]
    split = split_corpora([], [], [], written=texts)
    kept = {s.doc for document in split.train for s in document}
    out = {s.doc for s in split.held_out["texts"]}
    assert not kept & out
    assert kept | out == {s.doc for s in texts}
    assert 2 < len(out) < 20


packed = partial(gzip.compress, mtime=0)  # the names of tests have no time in them


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (packed(b'{"tokens": []}\n' * 100)[:-9], " cannot be read: Compressed file ended"),
        (packed(b'{"a": "' + b"x" * 20_000_000), " cannot be read: it grows more than 50"),
        (packed(b'{"tokens": []}\n{"tok'), r", line 2: not JSON \(Unterminated string"),
        (packed(b"[" * 100_000), r", line 1: not JSON \(maximum recursion depth"),
        (packed(b"\xff\n"), r", line 1: not JSON \('utf-8' codec can't decode"),
    ],
)
def test_damaged_corpora_are_one_sentence(tmp_path, data, reason):
    path = tmp_path / "semcor.jsonl.gz"
    path.write_bytes(data)
    with pytest.raises(RecordError, match=rf"semcor.jsonl.gz{reason}"):
        for _ in read_records(path):
            pass

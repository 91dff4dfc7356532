"""Trained IOB taggers: what the trained chunker and the trained NER share.

A greedy left-to-right tagger over NLTK's averaged perceptron (Collins 2002; NLTK's is Matthew
Honnibal's), with feature templates of our own: words, tags and shapes around the token, and the
labels of the two tokens before it.

| ``features``  of a token
| ``labels``    IOB labels and the spans that they describe
| ``tagger``    labels from the left to the right
| ``training``  trains a tagger
"""

from spacy_attn.classic.sequence.labels import (
    LabelledSpan,
    LabelledToken,
    check_tags,
    iob_spans,
    repair_iob,
    spans_to_iob,
)
from spacy_attn.classic.sequence.tagger import TASKS, SequenceTagger, TrainedChunker
from spacy_attn.classic.sequence.training import train_sequence_tagger

__all__ = [
    "TASKS",
    "LabelledSpan",
    "LabelledToken",
    "SequenceTagger",
    "TrainedChunker",
    "check_tags",
    "iob_spans",
    "repair_iob",
    "spans_to_iob",
    "train_sequence_tagger",
]

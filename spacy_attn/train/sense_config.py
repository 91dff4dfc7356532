"""The settings of a training run of the sense model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spacy_attn.errors import ConfigError
from spacy_attn.train.schedule import check_rate


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the result of a training run, beside the data."""

    epochs: int = 3
    steps: int = 0  # stops after so many, 0: after all epochs
    batch_pieces: int = 1024  # wordpieces in one step, padding included
    learning_rate: float = 1.5e-4  # of the encoder
    projection_rate: float = 1e-3
    residual_rate: float = 3e-4
    warmup: float = 0.05  # share of the steps
    dropout: float = 0.0  # of the encoder's layers; it costs as much time as half of them
    context_radius: int = 25  # tokens each side that make h_context
    max_pieces: int = 192  # of a row; longer ones are cut
    drop_target: float = 0.05  # share of occurrences that are judged by their context alone
    drop_context: float = 0.1
    drop_residual: float = 0.5  # a sense's own, and apart from it those of its neighbours
    text_alone: float = 0.5  # share of occurrences that the gloss encoder's vectors decide alone
    gloss_turns: int = 0  # after so many of the first epochs the gloss encoder has its turn
    mask_pieces: float = 0.1  # share of wordpieces that become [MASK]
    passages: bool = True  # short sentences of a document are read together, as in use
    frozen_layers: int = 0  # the lowest ones, with all that is not in a layer
    # MASC's senses are mapped from another dictionary: with weight 1 held-out SemCor fell from
    # 72.0 to 70.1 after one epoch. Its held-out genres are measured all the same.
    weight_masc: float = 0.0
    weight_wordnet: float = 1.0
    weight_own: float = 1.0  # of a user's own labels
    weight_written: float = 1.0
    weight_texts: float = 1.0  # of the written corpus' running texts
    weight_wngt: float = 1.0  # WordNet's glosses of verbs and adverbs, tagged by hand
    weight_silver: float = 0.2  # those of nouns and adjectives, tagged by rule
    weight_pmb: float = 0.5  # the Parallel Meaning Bank
    weight_untagged: float = 0.5  # of words that a teacher alone knows
    teacher_share: float = 0.5  # of the loss, where there is a teacher
    cap: int = 0  # see spacy_attn.train.balance; 0: none
    balance: float = 0.0
    shift: float = 0.0
    text_share: float = 0.0  # see spacy_attn.train.sense_side
    mean_share: float = 0.0
    rare_share: float = 0.0
    prior: float = 0.0  # of the logarithm of WordNet's counts, in training and in use
    final_prior: float | None = None  # in use, where that is another
    precision: str = "bf16"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "projection_rate", "residual_rate"):
            check_rate(name, getattr(self, name))

    @property
    def fits_senses(self) -> bool:
        """Whether the side of the senses is fitted at the end."""
        return bool(self.text_share or self.mean_share or self.rare_share)

    def weight(self, genre: str) -> float:
        """Weight of a corpus in the loss."""
        weights = {
            "semcor": 1.0,
            "wordnet": self.weight_wordnet,
            "oewn": self.weight_wordnet,
            "own": self.weight_own,
            "written": self.weight_written,
            "texts": self.weight_texts,
            "wngt": self.weight_wngt,
            "silver": self.weight_silver,
            "pmb": self.weight_pmb,
            "tagged": 1.0,
        }
        return weights.get(genre, self.weight_masc)


def check_material(semcor: Path | None, data: Path | None) -> None:
    """Refuse a run that has nothing to read.

    Raises:
        ConfigError: neither SemCor nor labels are given.
    """
    if semcor is None and data is None:
        raise ConfigError(
            "nothing to train on; give --semcor FILE, or your labels with --data FILE"
        )

"""Why a word has its sense here, by several attribution methods, with checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from spacy.language import Language

from spacy_attn._types import PlainData, StaticVectors
from spacy_attn.encoder.attention_map import AttentionMap
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.explain.attribution import (
    ATTRIBUTIONS,
    Weights,
    attribute,
    check_attributions,
    map_around,
)
from spacy_attn.explain.decision import Subject, subjects_of
from spacy_attn.explain.trust import Trust, agreement, trust
from spacy_attn.wsd.sense import Sense

#: The one that points at the deciding word most often: benchmarks/results/explanations.json.
DEFAULT_ATTRIBUTION: Final = "occlusion"
#: All but the baselines.
DEFAULT_ATTRIBUTIONS: Final = tuple(
    attribution for attribution in ATTRIBUTIONS if attribution not in ("nearness", "random")
)


@dataclass(frozen=True, eq=False)
class Explanation:
    """One decision and what speaks for it."""

    text_index: int
    subject: Subject
    weights: Mapping[str, Weights]  # by attribution, the one to believe first
    trust: Mapping[str, Trust]
    agreement: Mapping[tuple[str, str], float | None]
    left_out: Mapping[str, str]  # by attribution method: why
    attention: AttentionMap | None  # round the target; None where the method has none
    pieces: tuple[tuple[str, ...], ...]  # of each token, as the encoder's vocabulary writes them

    @property
    def sense(self) -> Sense:
        """The chosen one."""
        return self.subject.target.candidates[self.subject.chosen]

    @property
    def runner_up(self) -> Sense:
        """The one that came second."""
        return self.subject.target.candidates[self.subject.runner_up]

    def to_json(self) -> PlainData:
        """The numbers as plain data; weights are of the words of the context."""
        context, target, decision = (
            self.subject.context,
            self.subject.target,
            self.subject.decision,
        )
        start, end = context.offsets[target.start][0], context.offsets[target.end - 1][1]
        scores = dict(decision.ranked)
        words = sorted({i for weights in self.weights.values() for i in weights.words})
        return {
            "text_index": self.text_index,
            "text": context.text[start:end],
            "start": start,
            "end": end,
            "lemma": target.lemma,
            "method": self.subject.fitted.name,
            **_sense_record(self.sense, scores),
            "runner_up": _sense_record(self.runner_up, scores),
            "attributions": list(self.weights),
            "words": [
                {
                    "text": context.tokens[i],
                    "start": context.offsets[i][0],
                    "end": context.offsets[i][1],
                    "wordpieces": list(self.pieces[i]) if self.pieces else [],
                    "weights": {
                        attribution: _rounded(w.values[i])
                        for attribution, w in self.weights.items()
                    },
                }
                for i in words
            ],
            "trust": {
                attribution: {
                    **{k: _rounded(v) for k, v in asdict(found).items()},
                    "is_better_than_random": found.is_better_than_random,
                    "gap": None
                    if (gap := self.weights[attribution].gap) is None
                    else _rounded(gap),
                }
                for attribution, found in self.trust.items()
            },
            "agreement": [
                {
                    "attributions": list(pair),
                    "rank_correlation": None if rho is None else _rounded(rho),
                }
                for pair, rho in self.agreement.items()
            ],
            "left_out": dict(self.left_out),
        }

    def to_html(self) -> str:
        """One page that needs nothing else; see :func:`spacy_attn.explain.page.page`."""
        from spacy_attn.explain.page import page

        return page([self])

    def _repr_html_(self) -> str:
        """For notebooks: the page in a frame of its own."""
        from spacy_attn.explain.page import frame

        return frame([self])


def explain(
    nlp: Language,
    texts: Sequence[str],
    word: str | None = None,
    *,
    method: str | None = None,
    attributions: Sequence[str] = (DEFAULT_ATTRIBUTION,),
    layer: int | None = None,
    head: int | None = None,
    vectors: StaticVectors | None = None,
) -> list[Explanation]:
    """Explain the sense of a word in some texts, or of every word that has a choice.

    Args:
        nlp: a pipeline with a ``sense_disambiguator``.
        texts: the texts.
        word: as it is written, or its lemma; None explains every word of the inventory.
        method: name of a sense method; None takes that of the pipeline.
        attributions: attribution methods, names of ``ATTRIBUTIONS``; ``DEFAULT_ATTRIBUTIONS`` are
            all that are not baselines, and take several times as long. One that cannot run
            here is left out and told, unless it is the only one.
        layer: of attention, norms and rollout, 1 the first; None takes the mean over all.
        head: its number, 1 the first; None takes the mean over the heads.
        vectors: for "static"; None takes GloVe where it is installed.

    Raises:
        ConfigError: an unknown attribution, layer or head, or no such word.
        ResourceError: no attribution method can run.
    """
    check_attributions(attributions)
    options: dict[str, Any] = {"layer": layer, "head": head}
    found = []
    for i, subject in subjects_of(nlp, texts, word, method):
        found.append(_explained(i, subject, attributions, vectors, options))
    return found


def _explained(
    text_index: int,
    subject: Subject,
    attributions: Sequence[str],
    vectors: StaticVectors | None,
    options: dict[str, Any],
) -> Explanation:
    made: AttentionMap | None = None
    pieces: tuple[tuple[str, ...], ...] = ()
    left_out: dict[str, str] = {}
    try:
        encoder, context = subject.encoder, subject.context
    except ConfigError:
        pass  # Lesk and its like: each says for itself what it lacks
    else:
        made = map_around(subject)
        cut = encoder.wordpieces(context.text, context.offsets)
        ranges = zip(cut.first.tolist(), cut.end.tolist(), strict=True)
        pieces = tuple(cut.pieces[a:b] for a, b in ranges)
        if options["layer"] is not None:
            made.of(options["layer"], options["head"])  # a wrong one is an error, not left out
    weights: dict[str, Weights] = {}
    for attribution in attributions:
        try:
            static = _static_vectors(vectors) if attribution == "static" else None
            weights[attribution] = attribute(
                subject, attribution, vectors=static, attention=made, **options
            )
        except (ConfigError, ResourceError) as error:
            if len(attributions) == 1:
                raise
            left_out[attribution] = str(error)
    if not weights:
        raise ResourceError(f"nothing can be explained: {'; '.join(left_out.values())}")
    checks = dict(zip(weights, trust(subject, list(weights.values())), strict=True))
    return Explanation(
        text_index,
        subject,
        weights,
        checks,
        agreement(list(weights.values())),
        left_out,
        made,
        pieces,
    )


def _static_vectors(given: StaticVectors | None) -> StaticVectors:
    if given is not None:
        return given
    from spacy_attn.classic.vectors import shared_vectors

    return shared_vectors(None, "zero")


def _sense_record(sense: Sense, scores: Mapping[str, float]) -> PlainData:
    return {
        "sense": sense.id,
        "score": round(scores[sense.id], 4),
        "definition": sense.definition,
    }


def _rounded(value: Any) -> Any:
    return value if isinstance(value, int) else round(float(value), 4)

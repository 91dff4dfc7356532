"""Why a word got its sense here: the words of its context weighed in several ways, with checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from spacy.language import Language

from spacy_attn._types import PlainData, StaticVectors
from spacy_attn.encoder.attention_map import AttentionMap
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.explain.faithfulness import Trust, agreement, trust
from spacy_attn.explain.subject import Subject, subjects_of
from spacy_attn.explain.weigh import WAYS, Weights, map_around, weigh
from spacy_attn.wsd.sense import Sense

__all__ = ["DEFAULT_WAY", "DEFAULT_WAYS", "Explanation", "explain"]

#: The way that points at the deciding word most often: benchmarks/results/explanations.json.
DEFAULT_WAY: Final = "occlusion"
DEFAULT_WAYS: Final = tuple(way for way in WAYS if way not in ("nearness", "random"))


@dataclass(frozen=True, eq=False)
class Explanation:
    """One decision and what speaks for it."""

    text_index: int
    subject: Subject
    weights: Mapping[str, Weights]  # by way, the one to believe first
    trust: Mapping[str, Trust]
    agreement: Mapping[tuple[str, str], float | None]
    left_out: Mapping[str, str]  # way to reason
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
            "ways": list(self.weights),
            "words": [
                {
                    "text": context.tokens[i],
                    "start": context.offsets[i][0],
                    "end": context.offsets[i][1],
                    "wordpieces": list(self.pieces[i]) if self.pieces else [],
                    "weights": {way: _rounded(w.values[i]) for way, w in self.weights.items()},
                }
                for i in words
            ],
            "trust": {
                way: {
                    **{k: _rounded(v) for k, v in asdict(found).items()},
                    "is_better_than_random": found.is_better_than_random,
                    "gap": None if (gap := self.weights[way].gap) is None else _rounded(gap),
                }
                for way, found in self.trust.items()
            },
            "agreement": [
                {"ways": list(pair), "rank_correlation": None if rho is None else _rounded(rho)}
                for pair, rho in self.agreement.items()
            ],
            "left_out": dict(self.left_out),
        }

    def to_html(self) -> str:
        """One page that needs nothing else; see :func:`spacy_attn.explain.render.page`."""
        from spacy_attn.explain.render import page

        return page([self])

    def _repr_html_(self) -> str:
        """For notebooks: the page in a frame of its own."""
        from spacy_attn.explain.render import frame

        return frame([self])


def explain(
    nlp: Language,
    texts: Sequence[str],
    word: str | None = None,
    *,
    method: str | None = None,
    ways: Sequence[str] = DEFAULT_WAYS,
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
        ways: how the context is weighed: names of ``WAYS``. One that cannot run here is left out
            and told, unless it is the only one.
        layer: of attention, norms and rollout, 1 the first; None takes the mean over all.
        head: 0 the first; None takes the mean over the heads.
        vectors: for "static"; None takes GloVe where it is installed.

    Raises:
        ConfigError: an unknown way, layer or head, or no such word.
        ResourceError: no way can run.
    """
    unknown = [way for way in ways if way not in WAYS]
    if unknown or not ways:
        raise ConfigError(f"way = {', '.join(unknown)!r}; legal are {', '.join(WAYS)}")
    options: dict[str, Any] = {"layer": layer, "head": head}
    found = []
    for i, subject in subjects_of(nlp, texts, word, method):
        found.append(_explained(i, subject, ways, vectors, options))
    return found


def _explained(
    text_index: int,
    subject: Subject,
    ways: Sequence[str],
    vectors: StaticVectors | None,
    options: dict[str, Any],
) -> Explanation:
    made: AttentionMap | None = None
    pieces: tuple[tuple[str, ...], ...] = ()
    left_out: dict[str, str] = {}
    try:
        encoder, context = subject.encoder, subject.context
    except ConfigError:
        pass  # Lesk and its like: each way says for itself what it lacks
    else:
        made = map_around(subject)
        reading = encoder.reading(context.text, context.offsets)
        ranges = zip(reading.first.tolist(), reading.end.tolist(), strict=True)
        pieces = tuple(reading.pieces[a:b] for a, b in ranges)
        if options["layer"] is not None:
            made.of(options["layer"], options["head"])  # a wrong one is an error, not left out
    weights: dict[str, Weights] = {}
    for way in ways:
        try:
            static = _static_vectors(vectors) if way == "static" else None
            weights[way] = weigh(subject, way, vectors=static, attention=made, **options)
        except (ConfigError, ResourceError) as error:
            if len(ways) == 1:
                raise
            left_out[way] = str(error)
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

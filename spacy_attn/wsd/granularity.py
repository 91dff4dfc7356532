"""Several fine senses answered as one, where their difference does not matter.

    "fine"         each sense of the inventory, as the method chose it
    "coarse"       senses of one word that mean nearly the same are one; with WordNet
    "supersense"   senses of one broad class are one: noun.animal, noun.artifact

The method decides among the fine senses. The probability of a group is the sum of those of its
senses, so a doubt between two senses of one group is no doubt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

from spacy_attn.errors import ConfigError, allowed_names
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.decide import Decision
from spacy_attn.wsd.inventory.protocol import GroupingInventory, SenseInventory
from spacy_attn.wsd.sense import Sense

GRANULARITIES: Final = ("fine", "coarse", "supersense")

#: Makes a decision among groups of one among senses.
Coarsen: TypeAlias = Callable[[Target, Decision], Decision]


def coarsen_for(granularity: str, inventory: SenseInventory) -> Coarsen | None:
    """What is done to each decision; None for "fine".

    Raises:
        ConfigError: no such granularity, or not with this inventory.
    """
    name_of = group_names(granularity, inventory)
    return None if name_of is None else partial(coarsened, name_of=name_of)


def group_names(granularity: str, inventory: SenseInventory) -> Callable[[Sense], str] | None:
    """What names the group of a sense; None for "fine".

    Raises:
        ConfigError: no such granularity, or not with this inventory.
    """
    check_granularity(granularity, inventory.name)
    if granularity == "coarse" and isinstance(inventory, GroupingInventory):
        return inventory.group_of
    return _supersense if granularity == "supersense" else None


def check_granularity(granularity: object, inventory: str) -> None:
    """Refuse a granularity that there is not, or not with an inventory of this name.

    Raises:
        ConfigError: says what is allowed.
    """
    if granularity not in GRANULARITIES:
        raise ConfigError(
            f"granularity = {granularity!r}; {allowed_names(granularity, GRANULARITIES)}"
        )
    if granularity == "coarse" and inventory != "wordnet":
        raise ConfigError(
            f"granularity = 'coarse' with the inventory {inventory!r}: allowed is "
            "'supersense'; coarse senses are known of WordNet only"
        )


def coarsened(target: Target, decision: Decision, name_of: Callable[[Sense], str]) -> Decision:
    """A decision among groups of senses.

    Args:
        target: the word and its candidates, in frequency order.
        decision: among them.
        name_of: the name of a sense's group. Where it is the id of a candidate, that sense stands
            for the group, else the most probable one with the name as its id.
    """
    by_id = {sense.id: sense for sense in target.candidates}
    sums: dict[str, float] = {}
    best: dict[str, Sense] = {}
    for sense_id, probability in decision.ranked:
        name = name_of(by_id[sense_id])
        sums[name] = sums.get(name, 0.0) + probability
        best.setdefault(name, by_id[sense_id])
    names = sorted(sums, key=lambda name: -sums[name])  # stable: of equals the better sense first
    first = names[0]
    sense = by_id.get(first) or replace(best[first], id=first)
    probabilities = tuple(sums[name] for name in names)
    margin = probabilities[0] - (probabilities[1] if len(names) > 1 else 0.0)
    return Decision(sense, probabilities[0], margin, tuple(names), probabilities)


def _supersense(sense: Sense) -> str:
    return sense.supersense or sense.id

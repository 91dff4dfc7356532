from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.tokens.underscore import Underscore

from benchmarks.relations import score
from spacy_attn import install_extensions
from spacy_attn.classic.relations import BUNDLED, load_patterns
from spacy_attn.components import relation_extractor
from spacy_attn.components.relation_extractor import RelationExtractor
from spacy_attn.errors import ConfigError, ResourceError

ROOT = Path(__file__).resolve().parents[2]
SENTENCES = ROOT / "tests" / "data"

# Precision and recall on hand-written triples; a little below what benchmarks/results/
# relations.json reports, because another processor may give another parse.
FLOORS = {"relations.dev.jsonl": (0.90, 0.90), "relations.test.jsonl": (0.90, 0.86)}

POS = {
    "NN": "NOUN",
    "NNS": "NOUN",
    "NNP": "PROPN",
    "DT": "DET",
    "PRP": "PRON",
    "WDT": "PRON",
    "WP": "PRON",
    "WRB": "SCONJ",
    "JJ": "ADJ",
    "RB": "ADV",
    "IN": "ADP",
    "RP": "ADP",
    "TO": "PART",
    "POS": "PART",
    "CC": "CCONJ",
    "CD": "NUM",
    ".": "PUNCT",
    ",": "PUNCT",
}
# word[=lemma]/tag/dep/head for each token, then entities as start-end-label.
CHASED = (
    "The/DT/det/1 dog/NN/nsubj/2 chased=chase/VBD/ROOT/2 the/DT/det/4 cat/NN/dobj/2 ././punct/2"
)
PARIS = (
    "Paris/NNP/nsubj/1 is=be/VBZ/ROOT/1 the/DT/det/3 capital/NN/attr/1 of/IN/prep/3 "
    "France/NNP/pobj/4 ././punct/1"
)
# name of the class: parse, entities, triples with the pattern that gives each
CLASSES = {
    "active": (CHASED, "", {"The dog | chase | the cat": "object"}),
    "intransitive": ("She/PRP/nsubj/1 slept=sleep/VBD/ROOT/1 well/RB/advmod/1 ././punct/1", "", {}),
    "passive": (
        "The/DT/det/1 cat/NN/nsubjpass/3 was=be/VBD/auxpass/3 chased=chase/VBN/ROOT/3 "
        "by/IN/agent/3 the/DT/det/6 dog/NN/pobj/4 ././punct/3",
        "",
        {"the dog | chase | The cat": "agent"},
    ),
    "passive without agent": (
        "The/DT/det/1 window/NN/nsubjpass/3 was=be/VBD/auxpass/3 broken=break/VBN/ROOT/3",
        "",
        {"- | break | The window": "passive"},
    ),
    "passive with a place": (
        "The/DT/det/1 house/NN/nsubjpass/3 was=be/VBD/auxpass/3 built=build/VBN/ROOT/3 "
        "by/IN/agent/3 Romans/NNP/pobj/4 in/IN/prep/5 Spain/NNP/pobj/6",  # in the parser's way
        "",
        {
            "Romans | build | The house": "agent",
            "The house | build in | Spain": "preposition_after_agent",
        },
    ),
    "passive of an indirect object": (
        "He/PRP/nsubjpass/2 was=be/VBD/auxpass/2 given=give/VBN/ROOT/2 a/DT/det/4 "
        "book/NN/dobj/2 by/IN/prep/2 Ann/NNP/pobj/5",
        "",
        {"Ann | give to | He": "passive", "Ann | give | a book": "object"},
    ),
    "conjunctions": (
        "Ann/NNP/nsubj/3 and/CC/cc/0 Bob/NNP/conj/0 bought=buy/VBD/ROOT/3 bread/NN/dobj/3 "
        "and/CC/cc/3 sold=sell/VBD/conj/3 milk/NN/dobj/6",
        "",
        {
            "Ann | buy | bread": "object",
            "Bob | buy | bread": "object",
            "Ann | sell | milk": "object",
            "Bob | sell | milk": "object",
        },
    ),
    "shared object": (
        "She/PRP/nsubj/1 washed=wash/VBD/ROOT/1 and/CC/cc/1 dried=dry/VBD/conj/1 "
        "the/DT/det/5 dishes=dish/NNS/dobj/3",
        "",
        {"She | wash | the dishes": "object", "She | dry | the dishes": "object"},
    ),
    "no shared object": (
        "He/PRP/nsubj/1 came=come/VBD/ROOT/1 and/CC/cc/1 took=take/VBD/conj/1 it/PRP/dobj/3",
        "",
        {"He | take | it": "object"},
    ),
    "shared agent": (
        "It/PRP/nsubjpass/2 was=be/VBD/auxpass/2 written=write/VBN/ROOT/2 and/CC/cc/2 "
        "sent=send/VBN/conj/2 by/IN/agent/4 Ann/NNP/pobj/5",
        "",
        {"Ann | write | It": "passive", "Ann | send | It": "agent"},
    ),
    "conjoined prepositions": (
        "She/PRP/nsubj/1 works=work/VBZ/ROOT/1 in/IN/prep/1 Rome/NNP/pobj/2 and/CC/cc/2 "
        "on/IN/conj/2 ships=ship/NNS/pobj/5",
        "",
        {"She | work in | Rome": "preposition", "She | work on | ships": "preposition"},
    ),
    "particle": (
        "He/PRP/nsubj/1 turned=turn/VBD/ROOT/1 the/DT/det/3 lights=light/NNS/dobj/1 off/RP/prt/1",
        "",
        {"He | turn off | the lights": "object"},
    ),
    "adverb and preposition": (
        "They/PRP/nsubj/1 look/VBP/ROOT/1 forward/RB/advmod/1 to/IN/prep/1 the/DT/det/5 "
        "party/NN/pobj/3",
        "",
        {"They | look forward to | the party": "adverb_and_preposition"},
    ),
    "two prepositions": (
        "He/PRP/nsubj/1 ran=run/VBD/ROOT/1 out/IN/prep/1 of/IN/prep/2 money/NN/pobj/3",
        "",
        {"He | run out of | money": "preposition"},
    ),
    "negation": (
        "She/PRP/nsubj/3 does=do/VBZ/aux/3 not/RB/neg/3 eat/VB/ROOT/3 meat/NN/dobj/3",
        "",
        {"She | not eat | meat": "object"},
    ),
    "negated argument": (
        "No/DT/det/1 student/NN/nsubj/2 failed=fail/VBD/ROOT/2 the/DT/det/4 exam/NN/dobj/2",
        "",
        {"No student | not fail | the exam": "object"},
    ),
    "negation for both": (
        "He/PRP/nsubj/2 never/RB/neg/2 drinks=drink/VBZ/ROOT/2 beer/NN/dobj/2 or/CC/cc/2 "
        "smokes=smoke/VBZ/conj/2 cigars=cigar/NNS/dobj/5",
        "",
        {"He | not drink | beer": "object", "He | not smoke | cigars": "object"},
    ),
    "negation for one": (
        "He/PRP/nsubj/3 did=do/VBD/aux/3 not/RB/neg/3 eat/VB/ROOT/3 meat/NN/dobj/3 but/CC/cc/3 "
        "ate=eat/VBD/conj/3 fish/NN/dobj/6",
        "",
        {"He | not eat | meat": "object", "He | eat | fish": "object"},
    ),
    "neither": (
        "Neither/DT/det/1 Ann/NNP/nsubj/4 nor/CC/cc/1 Bob/NNP/conj/1 liked=like/VBD/ROOT/4 "
        "it/PRP/dobj/4",
        "",
        {"Ann | not like | it": "object", "Bob | not like | it": "object"},
    ),
    "copula": (
        "Anna/NNP/nsubj/1 is=be/VBZ/ROOT/1 a/DT/det/3 doctor/NN/attr/1",
        "",
        {"Anna | be | a doctor": "copula"},
    ),
    "copula with an adjective": (
        "The/DT/det/1 soup/NN/nsubj/2 was=be/VBD/ROOT/2 very/RB/advmod/4 cold/JJ/acomp/2",
        "",
        {"The soup | be | cold": "copula_adjective"},
    ),
    "copula with a preposition": (
        "The/DT/det/1 keys=key/NNS/nsubj/2 are=be/VBP/ROOT/2 on/IN/prep/2 it/PRP/pobj/3",
        "",
        {"The keys | be on | it": "copula_preposition"},
    ),
    "preposition": (
        "He/PRP/nsubj/1 put/VBD/ROOT/1 the/DT/det/3 book/NN/dobj/1 on/IN/prep/1 the/DT/det/6 "
        "shelf/NN/pobj/4",
        "",
        {"He | put | the book": "object", "He | put on | the shelf": "preposition"},
    ),
    "indirect object": (
        "She/PRP/nsubj/1 gave=give/VBD/ROOT/1 him=he/PRP/dative/1 a/DT/det/4 book/NN/dobj/1",
        "",
        {"She | give to | him": "indirect_object", "She | give | a book": "object"},
    ),
    "imperative": (
        "Close/VB/ROOT/0 the/DT/det/2 door/NN/dobj/0",
        "",
        {"- | close | the door": "object"},
    ),
    "relative pronoun": (
        "The/DT/det/1 car/NN/nsubj/5 that/WDT/dobj/4 Mary/NNP/nsubj/4 bought=buy/VBD/relcl/1 "
        "is=be/VBZ/ROOT/5 red/JJ/acomp/5",
        "",
        {"Mary | buy | The car": "object", "The car | be | red": "copula_adjective"},
    ),
    "relative clause without pronoun": (
        "The/DT/det/1 car/NN/nsubj/4 Mary/NNP/nsubj/3 bought=buy/VBD/relcl/1 is=be/VBZ/ROOT/4 "
        "red/JJ/acomp/4",
        "",
        {"Mary | buy | The car": "relative_object", "The car | be | red": "copula_adjective"},
    ),
    "relative adverb": (
        "The/DT/det/1 house/NN/nsubj/5 where/WRB/advmod/4 he/PRP/nsubj/4 lives=live/VBZ/relcl/1 "
        "is=be/VBZ/ROOT/5 old/JJ/acomp/5",
        "",
        {"The house | be | old": "copula_adjective"},
    ),
    "stranded preposition": (
        "the/DT/det/1 man/NN/ROOT/1 she/PRP/nsubj/3 talked=talk/VBD/relcl/1 to/IN/prep/3",
        "",
        {"she | talk to | the man": "preposition"},
    ),
    "reduced relative clause": (
        "I/PRP/nsubj/1 read/VBD/ROOT/1 the/DT/det/3 book/NN/dobj/1 written=write/VBN/acl/3 "
        "by/IN/agent/4 Eco/NNP/pobj/5",
        "",
        {"I | read | the book": "object", "Eco | write | the book": "agent"},
    ),
    "infinitive": (
        "She/PRP/nsubj/2 never/RB/neg/2 wants=want/VBZ/ROOT/2 to/TO/aux/4 buy/VB/xcomp/2 "
        "a/DT/det/6 house/NN/dobj/4 or/CC/cc/4 sell/VB/conj/4 it/PRP/dobj/8",
        "",
        {"She | not want to buy | a house": "object", "She | not want to sell | it": "object"},
    ),
    "infinitive of the object": (
        "They/PRP/nsubj/1 asked=ask/VBD/ROOT/1 Bob/NNP/dobj/1 to/TO/aux/4 sell/VB/xcomp/1 "
        "it/PRP/dobj/4",
        "",
        {"They | ask | Bob": "object", "Bob | sell | it": "object"},
    ),
    "entity in apposition": (
        "Tim/NNP/compound/1 Cook/NNP/nsubj/8 ,/,/punct/1 the/DT/det/4 CEO/NN/appos/1 of/IN/prep/4 "
        "Apple/NNP/pobj/5 ,/,/punct/1 spoke=speak/VBD/ROOT/8",
        "0-2-PERSON 6-7-ORG",
        {"Tim Cook | CEO of | Apple": "apposition"},
    ),
    "entity with a title": (
        "Apple/NNP/poss/2 's/POS/case/0 founder/NN/compound/4 Steve/NNP/compound/4 "
        "Jobs/NNP/nsubj/5 died=die/VBD/ROOT/5",
        "0-1-ORG 3-5-PERSON",
        {"Steve Jobs | founder of | Apple": "title"},
    ),
    "entity with a title of two words": (
        "Google/NNP/nmod/2 chief/JJ/amod/2 executive/NN/compound/4 Sundar/NNP/compound/4 "
        "Pichai/NNP/nsubj/5 spoke=speak/VBD/ROOT/5",
        "0-1-ORG 3-5-PERSON",
        {"Sundar Pichai | chief executive of | Google": "title"},
    ),
    "entities and copula": (
        PARIS,
        "0-1-GPE 5-6-GPE",
        {"Paris | be | the capital": "copula", "Paris | capital of | France": "copula_noun"},
    ),
    "entity and place": (
        "Ford/NNP/nsubj/6 ,/,/punct/0 based=base/VBN/acl/0 in/IN/prep/2 Detroit/NNP/pobj/3 "
        ",/,/punct/0 makes=make/VBZ/ROOT/6 cars=car/NNS/dobj/6",
        "0-1-ORG 4-5-GPE",
        {"Ford | base in | Detroit": "preposition", "Ford | make | cars": "object"},
    ),
    "dative preposition": (
        "She/PRP/nsubj/1 gave=give/VBD/ROOT/1 it/PRP/dobj/1 to/IN/dative/1 him=he/PRP/pobj/3",
        "",
        {"She | give | it": "object", "She | give to | him": "dative_preposition"},
    ),
    "object read as apposition": (
        "She/PRP/nsubj/1 gave=give/VBD/ROOT/1 Bob/NNP/dative/1 his/PRP/poss/4 coat/NN/appos/2",
        "",
        {
            "She | give to | Bob": "indirect_object",
            "She | give | his coat": "object_after_indirect_object",
        },
    ),
    "conjoined passive": (
        "It/PRP/nsubjpass/2 was=be/VBD/auxpass/2 seen=see/VBN/ROOT/2 and/CC/cc/2 "
        "sold=sell/VBN/conj/2",
        "",
        {"- | see | It": "passive", "- | sell | It": "passive_conjunct"},
    ),
    "time after the agent": (
        "It/PRP/nsubjpass/2 was=be/VBD/auxpass/2 hit=hit/VBN/ROOT/2 by/IN/agent/2 "
        "lightning/NN/pobj/3 in/IN/prep/4 August/NNP/pobj/5",
        "6-7-DATE",
        {"lightning | hit | It": "agent", "It | hit in | August": "time_after_agent"},
    ),
    "place after a name": (
        "She/PRP/nsubj/1 met=meet/VBD/ROOT/1 Bob/NNP/dobj/1 in/IN/prep/2 Rome/NNP/pobj/3",
        "",
        {"She | meet | Bob": "object", "She | meet in | Rome": "preposition_after_name"},
    ),
    "attribute of another verb": (
        "Anna/NNP/nsubj/1 became=become/VBD/ROOT/1 a/DT/det/3 doctor/NN/attr/1",
        "",
        {"Anna | become | a doctor": "attribute"},
    ),
    "adjective of another verb": (
        "She/PRP/nsubj/1 looks=look/VBZ/ROOT/1 tired/JJ/acomp/1",
        "",
        {"She | look | tired": "adjective"},
    ),
    "name in apposition": (
        "Apple/NNP/poss/2 's/POS/case/0 founder/NN/nsubj/7 ,/,/punct/2 Steve/NNP/compound/5 "
        "Jobs/NNP/appos/2 ,/,/punct/2 died=die/VBD/ROOT/7",
        "0-1-ORG 4-6-PERSON",
        {"Steve Jobs | founder of | Apple": "apposed_name"},
    ),
    "name in apposition to a title": (
        "The/DT/det/1 CEO/NNP/nsubj/8 of/IN/prep/1 Apple/NNP/pobj/2 ,/,/punct/1 "
        "Tim/NNP/compound/6 Cook/NNP/appos/1 ,/,/punct/1 spoke=speak/VBD/ROOT/8",
        "3-4-ORG 5-7-PERSON",
        {"Tim Cook | CEO of | Apple": "apposed_name_of_title"},
    ),
    "name read as apposition to the other name": (
        "The/DT/det/1 head/NN/nsubj/8 of/IN/prep/1 Apple/NNP/pobj/2 ,/,/punct/3 "
        "Tim/NNP/compound/6 Cook/NNP/appos/3 ,/,/punct/1 spoke=speak/VBD/ROOT/8",
        "3-4-ORG 5-7-PERSON",
        {"Tim Cook | head of | Apple": "apposed_name_after_entity"},
    ),
    "means of a passive": (
        "It/PRP/nsubjpass/2 was=be/VBD/auxpass/2 written=write/VBN/ROOT/2 by/IN/agent/2 "
        "hand/NN/pobj/3",
        "",
        {"- | write | It": "passive", "It | write by | hand": "agent"},
    ),
    "amount of a passive": (
        "Prices=price/NNS/nsubjpass/2 were=be/VBD/auxpass/2 raised=raise/VBN/ROOT/2 by/IN/agent/2 "
        "5/CD/nummod/5 percent/NN/pobj/3",
        "4-6-PERCENT",
        {"- | raise | Prices": "passive", "Prices | raise by | 5 percent": "agent"},
    ),
    "time of a passive, read as a preposition": (
        "It/PRP/nsubjpass/2 was=be/VBD/auxpass/2 hit/VBN/ROOT/2 by/IN/prep/2 Monday/NNP/pobj/3",
        "4-5-DATE",
        {"- | hit | It": "passive", "It | hit by | Monday": "preposition"},
    ),
    "agent and time of a passive": (
        "It/PRP/nsubjpass/2 was=be/VBD/auxpass/2 sold=sell/VBN/ROOT/2 by/IN/agent/2 "
        "Monday/NNP/pobj/3 by/IN/agent/2 Ann/NNP/pobj/5",
        "4-5-DATE",
        {"Ann | sell | It": "agent", "It | sell by | Monday": "agent"},
    ),
    "a hand that acts": (
        "It/PRP/nsubjpass/2 was=be/VBD/auxpass/2 held=hold/VBN/ROOT/2 by/IN/agent/2 "
        "a/DT/det/5 hand/NN/pobj/3",
        "",
        {"a hand | hold | It": "agent"},
    ),
    "without": (
        "He/PRP/nsubj/1 left=leave/VBD/ROOT/1 without/IN/prep/1 paying=pay/VBG/pcomp/2 "
        "bills=bill/NNS/dobj/3 and/CC/cc/3 taking=take/VBG/conj/3 it/PRP/dobj/6",
        "",
        {"He | not pay | bills": "object", "He | not take | it": "object"},
    ),
    "negation of an apposition": (
        "John/NNP/nsubj/5 ,/,/punct/0 not/RB/neg/0 Mary/NNP/appos/0 ,/,/punct/0 "
        "broke=break/VBD/ROOT/5 it/PRP/dobj/5",
        "",
        {"John | break | it": "object"},
    ),
    "not one but the other": (
        "He/PRP/nsubj/1 is=be/VBZ/ROOT/1 not/RB/neg/1 a/DT/det/4 doctor/NN/attr/1 but/CC/cc/4 "
        "a/DT/det/7 nurse/NN/conj/4 and/CC/cc/7 a/DT/det/10 pilot/NN/conj/7",
        "",
        {
            "He | not be | a doctor": "copula",
            "He | be | a nurse": "copula",
            "He | be | a pilot": "copula",
        },
    ),
    "not in one place but in the other": (
        "She/PRP/nsubj/3 does=do/VBZ/aux/3 not/RB/neg/3 live/VB/ROOT/3 in/IN/prep/3 "
        "Rome/NNP/pobj/4 but/CC/cc/4 in/IN/conj/4 Paris/NNP/pobj/7",
        "",
        {"She | not live in | Rome": "preposition", "She | live in | Paris": "preposition"},
    ),
    "instead of a noun": (
        "He/PRP/nsubj/1 bought=buy/VBD/ROOT/1 a/DT/det/3 car/NN/dobj/1 instead/RB/advmod/5 "
        "of/IN/cc/3 a/DT/det/7 bike/NN/conj/3",
        "",
        {"He | buy | a car": "object"},
    ),
    "instead of a verb": (
        "He/PRP/nsubj/1 took=take/VBD/ROOT/1 it/PRP/dobj/1 instead/RB/advmod/4 of/IN/prep/1 "
        "trying=try/VBG/pcomp/4 to/TO/aux/7 drive/VB/xcomp/5 cars=car/NNS/dobj/7",
        "",
        {"He | take | it": "object"},
    ),
    "rather than a verb, shared object": (
        "He/PRP/nsubj/1 washed=wash/VBD/ROOT/1 rather/RB/advmod/3 than/IN/cc/1 "
        "dried=dry/VBD/conj/1 it/PRP/dobj/4",
        "",
        {"He | wash | it": "object"},
    ),
    "cleft sentence": (
        "It/PRP/nsubj/1 is=be/VBZ/ROOT/1 Tom/NNP/attr/1 and/CC/cc/2 Ann/NNP/conj/2 "
        "who/WP/nsubj/6 broke=break/VBD/ccomp/1 it/PRP/dobj/6",
        "",
        {
            "It | be | Tom": "copula",
            "It | be | Ann": "copula",
            "Tom | break | it": "object",
            "Ann | break | it": "object",
        },
    ),
    "relative clause of one of two": (
        "He/PRP/nsubj/1 is=be/VBZ/ROOT/1 a/DT/det/3 doctor/NN/attr/1 who/WP/nsubj/5 "
        "likes=like/VBZ/relcl/3 it/PRP/dobj/5 and/CC/cc/3 a/DT/det/9 cook/NN/conj/3",
        "",
        {
            "He | be | a doctor": "copula",
            "He | be | a cook": "copula",
            "a doctor | like | it": "object",
        },
    ),
    "negated cleft sentence": (
        "It/PRP/nsubj/1 is=be/VBZ/ROOT/1 not/RB/neg/1 Tom/NNP/attr/1 but/CC/cc/3 Ann/NNP/conj/3 "
        "who/WP/nsubj/7 broke=break/VBD/ccomp/1 it/PRP/dobj/7",
        "",
        {
            "It | not be | Tom": "copula",
            "It | be | Ann": "copula",
            "Tom | not break | it": "object",
            "Ann | break | it": "object",
        },
    ),
    "indirect question": (
        "I/PRP/nsubj/1 know/VBP/ROOT/1 who/WP/nsubj/3 broke=break/VBD/ccomp/1 it/PRP/dobj/3",
        "",
        {"- | break | it": "object"},
    ),
    "question": (
        "Who/WP/nsubj/1 broke=break/VBD/ROOT/1 it/PRP/dobj/1 ?/./punct/1",
        "",
        {"Who | break | it": "object"},
    ),
    "clause as subject": (
        "Driving=drive/VBG/csubj/6 cars=car/NNS/dobj/0 and/CC/cc/0 living=live/VBG/conj/0 "
        "in/IN/prep/3 Paris/NNP/pobj/4 is=be/VBZ/ROOT/6 fun/JJ/acomp/6",
        "5-6-GPE",
        {
            "- | drive | cars": "object",
            "- | live in | Paris": "preposition",
            "Driving cars | be | fun": "copula_adjective",
            "living in Paris | be | fun": "copula_adjective",
        },
    ),
    "entity of several words": (
        "The/DT/det/1 Bank/NNP/nsubj/4 of/IN/prep/1 England/NNP/pobj/2 bought=buy/VBD/ROOT/4 "
        "it/PRP/dobj/4",
        "1-4-ORG",
        {"The Bank of England | buy | it": "object"},
    ),
}


@pytest.fixture(autouse=True)
def own_attributes(monkeypatch):
    """Extensions are global; each test starts without any."""
    monkeypatch.setattr(Underscore, "doc_extensions", {})


@pytest.fixture(scope="module")
def vocab():
    return spacy.blank("en").vocab


@pytest.fixture
def english(spacy_english):
    spacy_english.add_pipe("relation_extractor")
    yield spacy_english
    spacy_english.remove_pipe("relation_extractor")


def parsed(vocab, parse, entities=""):
    """A Doc with the parse that a string gives, so that no model is needed."""
    rows = [token.rsplit("/", 3) for token in parse.split(" ")]
    words = [word.partition("=")[0] for word, *_ in rows]
    tags = [tag for _, tag, _, _ in rows]
    lemmas = [word.partition("=")[2] or word.lower() for word, *_ in rows]
    deps = [dep for *_, dep, _ in rows]
    pos = [
        POS.get(tag, "AUX" if lemma == "be" or dep == "aux" else "VERB")
        for tag, lemma, dep in zip(tags, lemmas, deps, strict=True)
    ]
    heads = [int(head) for *_, head in rows]
    doc = Doc(vocab, words=words, lemmas=lemmas, tags=tags, pos=pos, deps=deps, heads=heads)
    spans = [entity.split("-") for entity in entities.split()]
    doc.set_ents([Span(doc, int(start), int(end), label) for start, end, label in spans])
    return doc


def relations(doc, component=None, **config):
    component = component or RelationExtractor(doc.vocab, **config)
    return component(doc)._.get(component.attr)


def texts(doc, **config):
    return [relation.text(doc) for relation in relations(doc, **config)]


# -- what is found -----------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSES)
def test_class(vocab, name):
    parse, entities, expected = CLASSES[name]
    doc = parsed(vocab, parse, entities)
    assert {each.text(doc): each.pattern for each in relations(doc)} == expected


def test_every_bundled_pattern_is_tested():
    fired = {pattern for _, _, expected in CLASSES.values() for pattern in expected.values()}
    assert fired == {pattern.name for pattern in load_patterns(BUNDLED)}


def test_labels_and_spans(vocab):
    parse, entities, _ = CLASSES["entity in apposition"]
    doc = parsed(vocab, parse, entities)
    (relation,) = relations(doc)
    assert (relation.subject, relation.predicate, relation.object) == ((0, 2), (4, 5), (6, 7))
    assert (relation.subject_label, relation.object_label) == ("PERSON", "ORG")
    assert relation.parts == ((4, 5), (5, 6))


def test_a_clause_has_no_label(vocab):
    parse, entities, _ = CLASSES["clause as subject"]
    doc = parsed(vocab, parse, entities)
    labels = {each.text(doc): each for each in relations(doc)}
    assert labels["living in Paris | be | fun"].subject_label == ""
    assert labels["- | live in | Paris"].object_label == "GPE"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He left without paying the bill.", ["He | not pay | the bill"]),
        ("John, not Mary, broke the window.", ["John | break | the window"]),
        ("He is not a doctor but a nurse.", ["He | not be | a doctor", "He | be | a nurse"]),
        ("He bought a car instead of a bike.", ["He | buy | a car"]),
        ("He bought a car rather than a bike.", ["He | buy | a car"]),
        ("It was written by hand.", ["- | write | It", "It | write by | hand"]),
        ("It is Tom who broke the vase.", ["It | be | Tom", "Tom | break | the vase"]),
        ("Reading books is fun.", ["- | read | books", "Reading books | be | fun"]),
    ],
)
def test_with_the_english_parser(english, text, expected):
    doc = english(text)
    assert [each.text(doc) for each in doc._.relations] == expected


def test_parts_of_a_particle_verb(vocab):
    doc = parsed(vocab, CLASSES["particle"][0])
    (relation,) = relations(doc)
    assert (relation.predicate, relation.parts) == ((1, 2), ((1, 2), (4, 5)))


def test_order_of_the_text(vocab):
    parse, entities, expected = CLASSES["conjunctions"]
    doc = parsed(vocab, parse, entities)
    assert texts(doc) == list(expected)


def test_without_lemmas_the_word_stands(vocab):
    doc = parsed(vocab, CHASED)
    for token in doc:
        token.lemma_ = ""
    assert texts(doc) == ["The dog | chased | the cat"]


def test_entities_off(vocab):
    doc = parsed(vocab, PARIS, "0-1-GPE 5-6-GPE")
    assert texts(doc, entities=False) == ["Paris | be | the capital"]


@pytest.mark.parametrize(("file", "floors"), FLOORS.items())
def test_precision_and_recall(english, file, floors):
    scored = score(english, SENTENCES / file)
    precision, recall = floors
    report = "\n".join(scored.errors)
    found = scored.record()
    assert found["precision"] >= precision, f"{found['precision']:.3f}\n{report}"
    assert found["recall"] >= recall, f"{found['recall']:.3f}\n{report}"


# -- patterns of the user's --------------------------------------------------------------

SUBJECT_ONLY = {
    "name": "who_acts",
    "pattern": [
        {"RIGHT_ID": "verb", "RIGHT_ATTRS": {"POS": "VERB"}},
        {"LEFT_ID": "verb", "REL_OP": ">", "RIGHT_ID": "who", "RIGHT_ATTRS": {"DEP": "nsubj"}},
        {"LEFT_ID": "verb", "REL_OP": ">", "RIGHT_ID": "what", "RIGHT_ATTRS": {"DEP": "dobj"}},
    ],
    "roles": {"predicate": "verb", "subject": "who", "object": "what"},
}


@pytest.fixture
def write(tmp_path):
    def write(*records):
        path = tmp_path / "own.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    return write


def test_own_patterns_are_added_and_the_larger_one_wins(vocab, write):
    doc = parsed(vocab, CLASSES["preposition"][0])
    path = write(SUBJECT_ONLY)
    assert {each.pattern for each in relations(doc, patterns=path)} == {"who_acts", "preposition"}
    assert texts(doc, patterns=path) == ["He | put | the book", "He | put on | the shelf"]


def test_own_patterns_stand_alone(vocab, write):
    doc = parsed(vocab, CLASSES["preposition"][0])
    assert texts(doc, patterns=write(SUBJECT_ONLY), extend=False) == ["He | put | the book"]


def test_the_same_name_replaces_a_bundled_pattern(vocab, write):
    own = {**SUBJECT_ONLY, "name": "object", "word": "indeed"}
    doc = parsed(vocab, CHASED)
    assert texts(doc, patterns=write(own)) == ["The dog | chase indeed | the cat"]


def test_own_noun_pattern_with_all_roles(vocab, write):
    own = {
        "name": "headquarters",
        "kind": "noun",
        "pattern": [
            {"RIGHT_ID": "noun", "RIGHT_ATTRS": {"LOWER": "capital"}},
            {"LEFT_ID": "noun", "REL_OP": "<", "RIGHT_ID": "be", "RIGHT_ATTRS": {"LEMMA": "be"}},
            {"LEFT_ID": "be", "REL_OP": ">", "RIGHT_ID": "a", "RIGHT_ATTRS": {"DEP": "nsubj"}},
            {"LEFT_ID": "noun", "REL_OP": ">", "RIGHT_ID": "of", "RIGHT_ATTRS": {"DEP": "prep"}},
            {"LEFT_ID": "of", "REL_OP": ">", "RIGHT_ID": "b", "RIGHT_ATTRS": {"DEP": "pobj"}},
        ],
        "roles": {"predicate": "noun", "subject": "a", "object": "b", "preposition": "of"},
    }
    doc = parsed(vocab, PARIS)
    path = write(own)
    assert texts(doc, patterns=path, extend=False) == ["Paris | capital of | France"]


def test_a_broken_file_is_refused_when_the_pipe_is_added(write):
    nlp = spacy.blank("en")
    path = write(SUBJECT_ONLY, {**SUBJECT_ONLY, "name": "x", "roles": {"subject": "who"}})
    with pytest.raises(ResourceError, match=r"own\.jsonl, line 2: roles = .*; allowed: one JSON"):
        nlp.add_pipe("relation_extractor", config={"patterns": str(path)})


def test_a_file_that_is_not_there_is_refused_at_the_first_text(vocab, tmp_path):
    component = RelationExtractor(vocab, patterns=tmp_path / "no.jsonl")
    with pytest.raises(ResourceError, match=r"no\.jsonl is not there; give patterns = the path"):
        component(parsed(vocab, CHASED))


@pytest.mark.parametrize("patterns", ["", " "])
def test_an_empty_path_is_refused_when_the_pipe_is_added(patterns):
    with pytest.raises(ConfigError, match=r"patterns = ' ?' names no file; give the path of a"):
        spacy.blank("en").add_pipe("relation_extractor", config={"patterns": patterns})


def test_a_folder_is_refused_at_the_first_text(vocab, tmp_path):
    component = RelationExtractor(vocab, patterns=tmp_path)
    with pytest.raises(ResourceError, match=r"is a folder; give patterns = the path of a"):
        component(parsed(vocab, CHASED))


def test_no_pattern_at_all():
    with pytest.raises(ConfigError, match="extend = false without patterns leaves no pattern"):
        spacy.blank("en").add_pipe("relation_extractor", config={"extend": False})


# -- Docs that cannot be read ------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", " \n\t "])
def test_no_words_no_relations(text):
    nlp = spacy.blank("en")
    nlp.add_pipe("relation_extractor")
    assert nlp(text)._.relations == []


def test_a_doc_without_a_parse():
    nlp = spacy.blank("en")
    nlp.add_pipe("relation_extractor")
    with pytest.raises(ConfigError, match=r'reads a dependency parse, .*; add "parser" before it'):
        nlp("The dog chased the cat.")


def test_a_doc_without_parts_of_speech(vocab):
    heads, deps = [1, 1, 1], ["nsubj", "ROOT", "dobj"]
    doc = Doc(vocab, words=["dogs", "chase", "cats"], heads=heads, deps=deps)
    with pytest.raises(ConfigError, match=r'reads parts of speech, .*; add "tagger" and'):
        RelationExtractor(vocab)(doc)


def test_a_sentence_that_is_too_long_is_passed_over(vocab, monkeypatch, caplog):
    n_long = len(CHASED.split())
    short = parsed(vocab, CLASSES["particle"][0])
    doc = Doc.from_docs([parsed(vocab, CHASED), short])
    monkeypatch.setattr(relation_extractor, "MAX_SENTENCE", n_long - 1)
    with caplog.at_level(logging.WARNING, logger="spacy_attn"):
        assert texts(doc) == ["He | turn off | the lights"]
    assert "a sentence of more than 5 tokens is passed over" in caplog.text


def test_a_long_sentence_ends(vocab):
    """The most that is read, of a kind that fits several patterns at every token."""
    rows = ["saw=see/VBD/ROOT/0", "Bob/NNP/dobj/0", "in/IN/prep/0"]
    for i in range(3, 300, 3):
        rows += [f"saw=see/VBD/conj/{i - 3}", f"Bob/NNP/dobj/{i}", f"in/IN/prep/{i}"]
    found = relations(parsed(vocab, " ".join(rows)))
    assert len(found) == 100
    assert {each.relation for each in found} == {"see"}


def test_a_deep_sentence_ends(vocab):
    rows = ["want/VBP/ROOT/0", *(f"want/VB/xcomp/{i}" for i in range(298)), "it/PRP/dobj/298"]
    (relation,) = relations(parsed(vocab, " ".join(rows)))
    assert relation.relation == " ".join(["want"] * 299)


# -- Docs and pipelines that travel ------------------------------------------------------


def test_doc_travels_through_bytes_and_docbin(vocab):
    doc = parsed(vocab, PARIS, "0-1-GPE 5-6-GPE")
    expected = relations(doc)
    assert len(expected) == 2
    (stored,) = DocBin(docs=[doc], store_user_data=True).get_docs(vocab)
    for copy in (Doc(vocab).from_bytes(doc.to_bytes()), stored):
        assert copy._.relations == expected


def test_merged_tokens(vocab):
    doc = parsed(vocab, PARIS, "0-1-GPE 5-6-GPE")
    before = [relation.text(doc) for relation in relations(doc)]
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[2:4])
    assert [relation.object for relation in doc._.relations] == [(2, 3), (4, 5)]
    assert [relation.text(doc) for relation in doc._.relations] == before


def test_part_of_a_doc_has_no_relation_of_other_words(vocab):
    doc = parsed(vocab, CLASSES["preposition"][0])
    assert len(relations(doc)) == 2
    for copy_user_data in (False, True):
        assert doc[2:7].as_doc(copy_user_data=copy_user_data)._.relations == []


def test_install_extensions_is_enough_to_read(vocab, monkeypatch):
    data = RelationExtractor(vocab)(parsed(vocab, CHASED)).to_bytes()
    monkeypatch.setattr(Underscore, "doc_extensions", {})
    install_extensions()
    doc = Doc(vocab).from_bytes(data)
    assert [relation.text(doc) for relation in doc._.relations] == ["The dog | chase | the cat"]


def test_saved_pipeline_needs_the_pattern_file_no_more(vocab, write, tmp_path):
    path = write(SUBJECT_ONLY)
    nlp = spacy.blank("en")
    config = {"patterns": str(path), "extend": False, "attr": "triples"}
    component = nlp.add_pipe("relation_extractor", config=config)
    nlp.to_disk(tmp_path / "nlp")
    data = nlp.to_bytes()
    path.unlink()
    from_bytes = spacy.blank("en")
    from_bytes.add_pipe("relation_extractor", config=config)
    for loaded in (spacy.load(tmp_path / "nlp"), from_bytes.from_bytes(data)):
        again = loaded.get_pipe("relation_extractor")
        assert again.patterns == component.patterns
        (relation,) = relations(parsed(loaded.vocab, CHASED), again)
        assert relation.pattern == "who_acts"


@pytest.mark.parametrize(
    ("data", "problem"), [(b"", "no pattern"), (b"[]", "line 1"), (b"\xff", "no patterns of")]
)
def test_foreign_bytes_are_refused(vocab, data, problem):
    with pytest.raises(ResourceError, match=f"{problem}.*"):
        RelationExtractor(vocab).from_bytes(data)


def test_a_foreign_folder_is_refused(vocab, tmp_path):
    with pytest.raises(ResourceError, match=r"there is no relations\.jsonl of"):
        RelationExtractor(vocab).from_disk(tmp_path)


def test_two_instances(vocab, write):
    nlp = spacy.blank("en")
    one = nlp.add_pipe("relation_extractor")
    config = {"patterns": str(write(SUBJECT_ONLY)), "extend": False, "attr": "triples"}
    two = nlp.add_pipe("relation_extractor", name="second", config=config)
    doc = two(one(parsed(nlp.vocab, CLASSES["preposition"][0])))
    assert (len(doc._.relations), len(doc._.triples)) == (2, 1)
    with pytest.raises(ConfigError, match=r"'third' would write doc\._\.triples"):
        nlp.add_pipe("relation_extractor", name="third", config={"attr": "triples"})


def test_a_foreign_attribute_is_refused():
    Doc.set_extension("relations", default=None)
    with pytest.raises(ConfigError, match="give this component another name with attr = "):
        spacy.blank("en").add_pipe("relation_extractor")


def test_analyze_pipes(english):
    analysis = english.analyze_pipes()
    assert analysis["problems"]["relation_extractor"] == []
    assert analysis["summary"]["relation_extractor"]["assigns"] == ["doc._.relations"]
    blank = spacy.blank("en")
    blank.add_pipe("relation_extractor")
    assert blank.analyze_pipes()["problems"]["relation_extractor"] == ["token.dep", "token.head"]


def test_a_copy_writes_where_nothing_is_installed(vocab, monkeypatch):
    """A spawned child gets a pickled component and no extensions."""
    data = pickle.dumps(RelationExtractor(vocab, attr="triples"))
    monkeypatch.setattr(Underscore, "doc_extensions", {})
    component = pickle.loads(data)  # noqa: S301  our own bytes
    (relation,) = relations(parsed(vocab, CHASED), component)
    assert relation.pattern == "object"


WORKERS = """
    import spacy
    import spacy_attn.components.relation_extractor
    from spacy_attn.models import resolve_pipeline

    nlp = spacy.load(resolve_pipeline(None))
    nlp.add_pipe("relation_extractor")
    docs = nlp.pipe(["The dog chased the cat.", "", "Bob sold it."], n_process=2, batch_size=1)
    print([[each.text(doc) for each in doc._.relations] for doc in docs])
"""


@pytest.mark.slow
@pytest.mark.usefixtures("english")
def test_worker_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(WORKERS))
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[['The dog | chase | the cat'], [], ['Bob | sell | it']]"


def test_a_doc_of_another_vocab(english):
    text = "The dog chased the cat."
    component = spacy.blank("en").add_pipe("relation_extractor")
    assert [r.text(doc) for doc in [component(english(text))] for r in doc._.relations] == [
        "The dog | chase | the cat"
    ]

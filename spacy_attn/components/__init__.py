"""spaCy factories, one a file: the only rooms in which adapters meet the Doc.

Every ``Language()`` imports all factories of the environment, so modules here import
spacy and numpy only; torch, transformers, nltk, gensim and sklearn come in constructors.
"""

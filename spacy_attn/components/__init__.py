"""spaCy factories, one in each file.

Every ``Language()`` imports all factories of the environment, so modules here import
spacy and numpy only; torch, transformers, nltk, gensim and sklearn come in constructors.
"""

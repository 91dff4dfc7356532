"""The command line: the only part of the package that prints.

| ``app``          the command ``spacy-attn``: its commands, exit codes, errors
| ``senses``, ``tokens``, ``neighbours``   look at a few texts or words
| ``explain``, ``syntax``   why a sense was chosen; heads that follow the parse
| ``read``         a page to read or to correct
| ``annotate``     jobs
| ``compare``      methods beside each other
| ``inventory``, ``added``   dictionaries; what a method says of added examples
| ``doctor``, ``calibrate_int8``   the setup; scales for 8 bits
| ``train_senses``, ``train_attention``, ``train_word2vec``   training
| ``train_chunker``, ``train_lemmatizer``   more of it
| ``options``, ``terminal``, ``training``   what several commands share
"""

from spacy_attn.cli.app import main

__all__ = ["main"]

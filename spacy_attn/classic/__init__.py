"""Classic methods without torch: static word vectors, and what NLTK offers.

| ``vectors``       static word vectors
| ``stem``          stems
| ``chunk``         phrases, by a grammar or a trained tagger
| ``entities``      named entities
| ``parse``         parse trees, by the user's grammar
| ``relations``     who does what to whom
| ``sequence``      the tagger that trained chunkers and named entities share
| ``grammar_file``  grammars as text files
"""

"""spaCy factories, one in each file, and what they share.

Every ``Language()`` imports all factories of the environment, so modules here import
spacy and numpy only; torch, transformers, nltk, gensim and sklearn come in constructors.

The factories are ``sense_disambiguator``, ``attention_encoder``, ``attention_lemmatizer``,
``word2vec``, ``nltk_stemmer``, ``nltk_chunker``, ``nltk_parser``, ``nltk_ner`` and
``relation_extractor``. The other modules:

| ``extensions``        ``token._.sense`` and the like: what is stored on a Doc, and the getters
| ``adapter``           what sense methods see of a Doc and may use of a pipeline
| ``scorer``            ``nlp.evaluate`` for senses
| ``corrections``       a reader's corrections, applied to a Doc
| ``hooks``             ``token.vector`` and ``similarity`` by our vectors
| ``saving``            components that are saved as one file
| ``stored_weights``    models that are saved with a pipeline
| ``pipeline``          the pipeline where the user names none
| ``tagged_sentences``  what NLTK's chunkers get of a Doc
| ``layout``            list markers, signs, emoji: what is no sentence
| ``relation_view``     the parse that relations are read from
| ``lemmas``            lemmas that fit their words
"""

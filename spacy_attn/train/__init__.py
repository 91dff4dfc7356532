"""Training and calibration; nothing here runs when a text is annotated.

The sense model: ``sense_model`` is the whole way, ``sense_sources`` its files. ``corpora``,
``own_labels``, ``occurrences``, ``balance`` and ``rows`` make the data, ``sense_table`` the senses,
``sense_network`` and ``gloss_encoder`` the network, ``senses``, ``sense_side`` and ``text_vectors``
train it, ``teacher`` asks finished models, ``averaging`` takes the mean of runs, ``export`` packs
it; ``half`` and ``schedule`` are precision and learning rate. ``held_out`` fits on examples that
are held out, ``sample`` counts these, ``added`` tries those that are new. ``run_folder`` holds the
folder of a run and writes there, ``finished`` knows a run by its result, ``thin`` leaves rows of
zeros out.

The others: ``self_attention_model`` and ``self_attention``; ``word2vec`` with ``word2vec_run``,
``corpus`` and ``text_stream``; ``chunker``; ``lemmatizer``. Settings are in ``sense_config`` and
``word2vec_config``.
"""

"""Sense methods: one file each.

``registry`` knows them all. ``attention_wordnet`` is ``attention`` with WordNet. What several use:
``occurrence`` (a word and its context as two vectors), ``sense_head`` (the trained projections),
``glosses`` (the words of definitions), ``known_senses`` (what WordNet's trained senses say),
``prepared`` (the file of what ``attention`` makes of an inventory), ``calibration`` (temperatures).
"""

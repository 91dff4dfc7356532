"""Dictionaries of other formats as records of an inventory's JSONL file.

| ``run``          from a dictionary to the file: the formats and how they are recognised
| ``glossary``     rows of terms and definitions
| ``lmf``          wordnets as WN-LMF files
| ``wordnets``     lexicons of the ``wn`` library, and what they share with WN-LMF
| ``wiktextract``  Wiktionary
| ``records``      what all importers share
"""

"""Sense inventories: which senses a word can have, and which words of a text have some.

| ``protocol``      what every inventory can do
| ``open``          from what a user names to an inventory; ``sources`` are what may be named

| ``jsonl``         the bundled inventory and a user's own; ``lines`` and ``examples`` read it
| ``find``          finds its words in a text; ``forms`` inflects them
| ``check``         what will not work well in it
| ``importers``     dictionaries in other formats
| ``labelled``, ``corrections``   labelled sentences; what a reader corrected

| ``wordnet``       the senses of WordNet 3.0; ``lexicon_file`` and ``wordnet_more`` are its data,
                    ``build_lexicon`` makes them
| ``find_wordnet``  finds its words in a text; ``multiwords`` are "hot dog" and "take off"
| ``wordnet_files``  reads the user's WordNet, for definitions and examples
| ``synsets``       names a sense in NLTK and ``wn``

| ``readings``      what a token can be, by its tag and form: "glasses" is *glasses* or *glass*
| ``found``         from what tokens can be to a target
"""

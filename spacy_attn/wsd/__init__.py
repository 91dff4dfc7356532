"""Word sense disambiguation: inventories, methods, and the engine that asks them.

| ``context``      what a method sees: texts as contexts, words to decide as targets
| ``inventory``    which senses words have, and which words of a text have some
| ``engine``       targets in, decisions out
| ``methods``      the sense methods and their registry
| ``method``       what a method is, and what some can do besides
| ``vectors``      contextual vectors, made when a method asks for them
| ``decide``       from scores to probabilities and a decision
| ``granularity``  fine senses grouped to coarse ones
| ``sense``, ``annotation``   a sense; what ``token._.sense`` gives
"""

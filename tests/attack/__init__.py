"""Attacks: generated texts, mutated files, crafted models, load and offline use, with counts.

``make test-attack`` runs them at a small size; see docs/attack.md for the full one.
"""

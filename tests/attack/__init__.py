"""Attacks: generated texts, mutated files, crafted models, load and offline use, with counts.

``make test-attack`` runs them at a small size; CONTRIBUTING.md names the full one.
"""

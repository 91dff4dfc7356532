"""Sense inventories: which senses a word can have."""

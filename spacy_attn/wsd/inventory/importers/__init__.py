"""Dictionaries of other formats as records of an inventory's JSONL file."""

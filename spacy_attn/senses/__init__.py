"""Sense inventories and the methods that score their senses."""

"""Sense methods: one file each."""

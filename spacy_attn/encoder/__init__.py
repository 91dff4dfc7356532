"""Contextual vectors: alignment, windows, batching and the Hugging Face encoder."""

"""Data of spacy_attn: the sense model for all-mpnet-base-v2. Its files are read by path."""

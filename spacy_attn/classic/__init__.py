"""Classic methods without torch: static word vectors, and what NLTK offers."""

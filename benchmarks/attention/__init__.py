"""The study of attention itself: what it adds to the same vectors, and what it costs."""

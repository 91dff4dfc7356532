"""``python -m spacy_attn`` is the command ``spacy-attn``."""

import sys

from spacy_attn.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""Senses of a column of a pandas frame: python examples/pandas_job.py"""

import pandas as pd

from spacy_attn.jobs import Annotator, annotate_frame

annotator = Annotator(fields=("senses", "entities"))  # keep it: it holds the loaded pipeline
frame = pd.DataFrame({"id": [1, 2], "text": ["Swing the bat!", "The bat flew at night."]})
annotated = annotate_frame(frame, annotator)
senses = annotated.explode("senses")  # one row for each sense
for row in senses.itertuples():
    print(row.id, row.senses["text"], row.senses["sense"])

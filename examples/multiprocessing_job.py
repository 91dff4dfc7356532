"""An annotator in a pool of the standard library: python examples/multiprocessing_job.py

It is pickled as a few settings; each process loads its pipeline when the first text comes.
"""

from multiprocessing import get_context

import torch

from spacy_attn.jobs import Annotator

TEXTS = [["Swing the bat!", "He sat on the bank."], ["The bat flew at night."]]


def use_one_thread() -> None:
    torch.set_num_threads(1)


if __name__ == "__main__":
    annotator = Annotator()
    with get_context("spawn").Pool(2, initializer=use_one_thread) as pool:
        for senses in pool.map(annotator.annotate, TEXTS):
            print([[sense["sense"] for sense in one] for one in senses])

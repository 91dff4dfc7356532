"""Senses of a folder of Parquet files on Ray: python examples/ray_job.py IN OUT [ADDRESS]

Without an address Ray starts on this machine. On a cluster every node needs spacy_attn.
"""

import sys

import ray

from spacy_attn.jobs import Annotator
from spacy_attn.jobs.engines.ray import annotate_dataset


def main(source: str, target: str, address: str | None = None) -> None:
    ray.init(address=address)
    annotator = Annotator(fields=("senses", "stems"))
    dataset = ray.data.read_parquet(source)  # a column "text", and any others
    annotate_dataset(dataset, annotator, n_actors=2).write_parquet(target)
    ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])

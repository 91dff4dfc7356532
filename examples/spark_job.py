"""Senses of JSONL or Parquet files on Spark: python examples/spark_job.py IN OUT

PYSPARK_PYTHON names the Python of the workers; every node needs spacy_attn there.
"""

import sys

from pyspark.sql import SparkSession

from spacy_attn.jobs import Annotator
from spacy_attn.jobs.engines.spark import annotate_dataframe


def main(source: str, target: str) -> None:
    spark = SparkSession.builder.master("local[2]").getOrCreate()
    read = spark.read.json if source.endswith(".jsonl") else spark.read.parquet
    frame = read(source)  # a column "text", and any others
    annotate_dataframe(frame, Annotator()).write.parquet(target)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Senses of a folder of Parquet files on Spark: PYSPARK_PYTHON=$(which python) python
examples/spark_job.py IN OUT; with spark-submit the session comes from there.
"""

import sys

from pyspark.sql import SparkSession

from spacy_attn.jobs import Annotator
from spacy_attn.jobs.spark import annotate_dataframe


def main(source: str, target: str) -> None:
    spark = SparkSession.builder.master("local[2]").getOrCreate()
    frame = spark.read.parquet(source)  # a column "text", and any others
    annotate_dataframe(frame, Annotator()).write.parquet(target)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""dlt: Arrow batches in, files of CSV in between, COPY into Postgres."""

import json
import os
import sys

job = json.load(open(sys.argv[1]))
os.environ["DLT_DATA_DIR"] = job["workplace"]

import dlt
from arrow_types import reader


@dlt.resource(name=job["table"], write_disposition="append")
def rows():
    yield from reader(job)


pipeline = dlt.pipeline(
    pipeline_name="bench",
    pipelines_dir=job["workplace"],
    destination=dlt.destinations.postgres(job["tcp"]),
    dataset_name="public",
)
pipeline.run(rows(), loader_file_format="csv").raise_on_failed_jobs()

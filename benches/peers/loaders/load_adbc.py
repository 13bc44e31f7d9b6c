"""pyarrow reads, ADBC's driver for PostgreSQL writes: adbc_ingest in append mode, which is COPY BINARY."""

import json
import sys

import adbc_driver_postgresql.dbapi
from arrow_types import reader

job = json.load(open(sys.argv[1]))
with adbc_driver_postgresql.dbapi.connect(job["socket"]) as connection:
    with connection.cursor() as cursor:
        cursor.adbc_ingest(job["table"], reader(job), mode="append")
    connection.commit()

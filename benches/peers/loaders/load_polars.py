"""polars: read_csv, then write_database through ADBC."""

import json
import sys

import polars

job = json.load(open(sys.argv[1]))


def polars_type(kind):
    if kind.startswith(("decimal", "numeric")):
        digits, scale = kind[kind.index("(") + 1 : -1].split(",")
        return polars.Decimal(int(digits), int(scale))
    return {"integer": polars.Int32, "date": polars.Date}.get(kind, polars.String)


frame = polars.read_csv(
    job["file"],
    separator="|",
    quote_char=None,
    null_values=[""],
    schema={name: polars_type(kind) for name, kind in job["columns"]},
)
# Y and N are no booleans to it.
frame = frame.with_columns(polars.col(name).is_in(["Y", "1"]) for name, kind in job["columns"] if kind == "boolean")
frame.write_database(job["table"], job["socket"], engine="adbc", if_table_exists="append")

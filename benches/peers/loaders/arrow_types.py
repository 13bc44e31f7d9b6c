"""How pyarrow is to read the file: the types of the columns."""

import pyarrow
import pyarrow.csv


def arrow_type(kind):
    if kind.startswith(("decimal", "numeric")):
        digits, scale = kind[kind.index("(") + 1 : -1].split(",")
        return pyarrow.decimal128(int(digits), int(scale))
    return {"integer": pyarrow.int32(), "date": pyarrow.date32(), "boolean": pyarrow.bool_()}.get(kind, pyarrow.string())


def reader(job):
    """Batches of the file, one after the other."""
    return pyarrow.csv.open_csv(
        job["file"],
        read_options=pyarrow.csv.ReadOptions(block_size=8 << 20),
        parse_options=pyarrow.csv.ParseOptions(delimiter="|", quote_char=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: arrow_type(kind) for name, kind in job["columns"]},
            null_values=[""],
            strings_can_be_null=True,
            true_values=["Y", "1"],
            false_values=["N", "0"],
        ),
    )

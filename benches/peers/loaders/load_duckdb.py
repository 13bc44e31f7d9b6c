"""DuckDB: INSERT INTO an attached Postgres SELECT FROM read_csv."""

import glob
import json
import os
import sys

import duckdb
import duckdb_extension_postgres_scanner as extension

job = json.load(open(sys.argv[1]))
found = glob.glob(os.path.join(os.path.dirname(extension.__file__), "**", "*.duckdb_extension"), recursive=True)
con = duckdb.connect()
con.execute(f"load '{found[0]}'")
con.execute(f"attach '{job['socket']}' as pg (type postgres)")
kinds, picked = {}, []
for name, kind in job["columns"]:
    # Y and N are no booleans to it.
    kinds[name] = "varchar" if kind == "boolean" or kind.startswith(("char", "varchar", "text")) else kind
    picked.append(f"{name} in ('Y', '1')" if kind == "boolean" else name)
columns = ", ".join(f"'{name}': '{kind}'" for name, kind in kinds.items())
con.execute(
    f"insert into pg.public.{job['table']} select {', '.join(picked)}"
    f" from read_csv('{job['file']}', delim = '|', header = true, quote = '', escape = '', nullstr = '', columns = {{{columns}}})"
)

"""sling: one run from a local file into a table that it truncates first."""

import json
import os
import shutil
import sys

job = json.load(open(sys.argv[1]))
environment = {**os.environ, "PG": job["tcp"] + "?sslmode=disable", "HOME": job["workplace"], "SLING_HOME_DIR": job["workplace"]}
program = shutil.which("sling", path=os.path.dirname(sys.executable))
if program is None:
    import sling_linux_amd64

    for top, _, names in os.walk(os.path.dirname(sling_linux_amd64.__file__)):
        for name in names:
            if name.startswith("sling") and "." not in name:
                program = os.path.join(top, name)
if program is None:
    sys.exit("the package has no program in it")
os.chmod(program, 0o755)
arguments = [program, "run", "--src-stream", f"file://{job['file']}", "--tgt-conn", "PG", "--tgt-object", f"public.{job['table']}"]
arguments += ["--mode", "truncate", "--src-options", json.dumps({"delimiter": "|", "header": True, "null_if": "", "trim_space": False})]
# What it would infer from 1 and 0 does not fit a boolean column.
arguments += ["--columns", json.dumps({name: "bool" for name, kind in job["columns"] if kind == "boolean"})]
os.execve(program, arguments, environment)

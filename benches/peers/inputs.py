"""The inputs, made once and kept: zstd parts as published for overnight, one plain file for the rest.

The pharmacy networks are published with CRLF and with two spellings of a missing value, which COPY
cannot be told; the peers get a copy without them, and nobody's clock runs while it is made.
"""

import json
import os
import shutil
import subprocess

from tables import TABLES

PARTS = 6
# Of the real networks' 307 million rows and 7,000 plans.
ROWS_A_PLAN = 41_667


class Inputs:
    def __init__(self, folder, programs):
        self.folder, self.programs = folder, programs

    def of(self, letter, rows):
        """The input of a table with about so many rows; generates it unless it is there."""
        made = Input(letter, rows, os.path.join(self.folder, f"{letter}-{rows}"))
        # What made it is part of what it is.
        recipe = json.dumps({"parts": PARTS, "rows_a_plan": ROWS_A_PLAN, "version": 1})
        if made.recipe() == recipe:
            return made
        shutil.rmtree(made.folder, ignore_errors=True)
        os.makedirs(made.folder)
        self._generate(made)
        with open(made.stamp, "w", encoding="utf-8") as file:
            file.write(recipe)
        return made

    def _generate(self, made):
        plain = os.path.join(made.folder, "plain")
        if made.letter == "L":
            scale = str(made.asked / TABLES["L"].full_rows)
            for out, more in ((made.published, ["--zstd"]), (plain, [])):
                self._run("lineitem", "--out", os.path.join(out, "lineitem"), "--scale", scale, "--parts", str(PARTS), *more)
            parts = [os.path.join(plain, "lineitem", f"lineitem_{n}.tbl") for n in range(1, PARTS + 1)]
            edit = "cat"
        else:
            for out, how in ((made.published, "zstd"), (plain, "none")):
                self._run("generate", "--out", out, "--compress", how, *pharmacy_options(made.asked, PARTS))
            parts = [os.path.join(plain, "druginfo", "pharmacy_networks", f"part_{n}.txt") for n in range(1, PARTS + 1)]
            # The fields that may be missing: the floor price is one space, the last three are points.
            edit = r"sed -e 's/\r$//' -e 's/| |/||/' -e 's/|\.|\.|\.$/|||/'"
            keep_networks(made.published)
        with open(made.plain, "w", encoding="utf-8") as file:
            file.write("|".join(TABLES[made.letter].names) + "\n")
        script = f'out=$1; shift; for part in "$@"; do tail -n +2 "$part" | LC_ALL=C {edit} >>"$out"; done'
        subprocess.run(["bash", "-euo", "pipefail", "-c", script, "bash", made.plain, *parts], check=True)
        shutil.rmtree(plain)

    def _run(self, program, *arguments):
        done = subprocess.run([os.path.join(self.programs, "examples", program), *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"bench: {program} failed: {done.stderr.strip()}")


def pharmacy_options(rows, parts):
    plans = max(60, round(rows / ROWS_A_PLAN))
    return ["--pharmacy-rows", str(rows), "--pharmacy-parts", str(parts), "--plans", str(plans), "--drugs", "250"]


def keep_networks(folder):
    """Removes what was generated beside the pharmacy networks."""
    shutil.rmtree(os.path.join(folder, "planinfo"))
    beside = os.path.join(folder, "druginfo")
    for name in os.listdir(beside):
        if name != "pharmacy_networks":
            os.remove(os.path.join(beside, name))


class Input:
    def __init__(self, letter, asked, folder):
        self.letter, self.asked, self.folder = letter, asked, folder
        # A folder as a bucket would hold it.
        self.published = os.path.join(folder, "published")
        self.plain = os.path.join(folder, f"{TABLES[letter].name}.txt")
        self.stamp = os.path.join(folder, "made.json")
        # Known when the reference has been loaded.
        self.rows = None
        self.digest = None

    def recipe(self):
        try:
            with open(self.stamp, encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def published_bytes(self):
        return sum(os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(self.published) for name in names)

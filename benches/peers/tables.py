"""The two tables: what every contender must end with, and how to compare contents.

L is `lineitem` of TPC-H, W the pharmacy networks of the example dataset `druginfo`. The types are
those of the schema files in project/; that the two agree is checked on every run.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    letter: str
    name: str
    # Name, type, and whether it is NOT NULL.
    columns: tuple
    key: tuple
    # Name and columns.
    indexes: tuple
    # Datasets of project/ that build it; the first is the plain table.
    datasets: tuple
    full_rows: int

    @property
    def names(self):
        return [name for name, _, _ in self.columns]

    def create(self):
        """The table without keys and indexes."""
        columns = (f"{name} {kind}{' not null' if filled else ''}" for name, kind, filled in self.columns)
        return f"create table {self.name} ({', '.join(columns)})"

    def build_unique(self):
        return f"create unique index {self.name}_pkey on {self.name} ({', '.join(self.key)})"

    def adopt_key(self):
        return f"alter table {self.name} add constraint {self.name}_pkey primary key using index {self.name}_pkey"

    def add_key(self):
        return f"alter table {self.name} add primary key ({', '.join(self.key)})"

    def build_others(self):
        return [f"create index {name} on {self.name} ({', '.join(columns)})" for name, columns in self.indexes]

    def digest(self, trimmed=False):
        """Rows, and a sum over the hashes of all rows that does not depend on their order.

        The casts do nothing to a table of the right types; a table of others is compared by value.
        Trimmed, blanks at the ends of texts do not count."""

        def value(name, kind):
            typed = f"{name}::{kind.split(' collate')[0]}"
            return f"btrim({typed})" if trimmed and kind.startswith(("text", "varchar")) else typed

        columns = ", ".join(f"{value(name, kind)} as {name}" for name, kind, _ in self.columns)
        return (
            f"select count(*), coalesce(sum(hashtextextended(r::text, 0)::numeric), 0) from (select {columns} from {self.name}) r"
        )

    def types(self):
        """The columns' types as the server names them."""
        listed = ", ".join(f"'{name}'" for name in self.names)
        return (
            "select attname, format_type(atttypid, atttypmod), attnotnull, coalesce(collname, '')"
            " from pg_attribute left join pg_collation c on c.oid = attcollation"
            f" where attrelid = '{self.name}'::regclass and attname in ({listed}) order by attname"
        )

    def keys_and_indexes(self):
        """Each index as whether it is the primary key, and its columns."""
        return (
            "select indisprimary, (select string_agg(attname, ',' order by place) from unnest(indkey::smallint[]) with ordinality k (num, place)"
            " join pg_attribute a on a.attrelid = indrelid and a.attnum = k.num)"
            f" from pg_index where indrelid = '{self.name}'::regclass and indisvalid order by 1, 2"
        )


def _lineitem():
    whole = [(name, "integer") for name in ("l_orderkey", "l_partkey", "l_suppkey", "l_linenumber")]
    money = [(name, "decimal(15,2)") for name in ("l_quantity", "l_extendedprice", "l_discount", "l_tax")]
    flags = [("l_returnflag", "char(1)"), ("l_linestatus", "char(1)")]
    dates = [(name, "date") for name in ("l_shipdate", "l_commitdate", "l_receiptdate")]
    texts = [("l_shipinstruct", "char(25)"), ("l_shipmode", "char(10)"), ("l_comment", "varchar(44)")]
    return Table(
        letter="L",
        name="lineitem",
        columns=tuple((name, kind, True) for name, kind in whole + money + flags + dates + texts),
        key=("l_orderkey", "l_linenumber"),
        indexes=(("lineitem_shipdate", ("l_shipdate",)), ("lineitem_part", ("l_partkey", "l_suppkey"))),
        datasets=("lineitem", "lineitem_hash"),
        full_rows=6_001_215,
    )


def _network():
    key = ("contract_id", "plan_id", "segment_id", "pharmacy_number")
    flags = ("preferred_status_retail", "preferred_status_mail", "pharmacy_retail", "pharmacy_mail", "in_area_flag")
    fees = ("floor_price",) + tuple(
        f"{kind}_dispensing_fee_{days}" for kind in ("brand", "generic", "selected") for days in (30, 60, 90)
    )
    columns = [(name, 'text collate "C"', True) for name in key]
    columns.append(("pharmacy_zipcode", 'text collate "C"', False))
    columns += [(name, "boolean", False) for name in flags]
    columns += [(name, "numeric(6,2)", False) for name in fees]
    return Table(
        letter="W",
        name="pharmacy_network",
        columns=tuple(columns),
        key=key,
        indexes=(("pharmacy_network_pharmacy", ("pharmacy_number",)),),
        datasets=("network", "network_sorted"),
        full_rows=10_000_000,
    )


TABLES = {"L": _lineitem(), "W": _network()}

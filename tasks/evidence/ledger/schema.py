"""The tables of a ledger, and the rules by which the database itself refuses anything but appending.

The rules stop mistakes and casual edits; whoever owns the database can drop them, which a check reports,
and what was changed then is what the chain and its checkpoints are for.
"""

from sqlalchemy import BigInteger, Boolean, Column, Connection, Integer, MetaData, Table, Text, text

VERSION = 1
METADATA = MetaData()

ENTRIES = Table(
    "ledger_entries",
    METADATA,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("previous", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("run_id", Text, nullable=False, index=True),
    Column("about", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("clock_set_back", Boolean, nullable=False),
    Column("entry_digest", Text, nullable=False),
)
SCHEMA = Table("ledger_schema", METADATA, Column("version", Integer, nullable=False))

RULES = frozenset({"ledger_append_only", "ledger_keeps", "ledger_chains"})
"""Names of the triggers, alike in both databases."""

# Before an insert too: SQLite's INSERT OR REPLACE deletes the row in its way without a DELETE trigger.
_CHAINS = """NEW.sequence <> coalesce((SELECT max(sequence) FROM ledger_entries), 0) + 1
    OR NEW.previous <> coalesce(
        (SELECT entry_digest FROM ledger_entries ORDER BY sequence DESC LIMIT 1), 'sha256:{zeros}')"""
_CHAINS = _CHAINS.format(zeros="0" * 64)

_SQLITE = (
    "CREATE TRIGGER ledger_append_only BEFORE UPDATE ON ledger_entries "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER ledger_keeps BEFORE DELETE ON ledger_entries "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    f"CREATE TRIGGER ledger_chains BEFORE INSERT ON ledger_entries WHEN {_CHAINS} "
    "BEGIN SELECT RAISE(ABORT, 'the entry does not follow the last one'); END",
)
_POSTGRESQL = (
    "CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN RAISE EXCEPTION 'the ledger is append-only'; END$$",
    "CREATE FUNCTION ledger_follow() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$BEGIN IF {_CHAINS} THEN RAISE EXCEPTION 'the entry does not follow the last one'; END IF; "
    "RETURN NEW; END$$",
    "CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON ledger_entries "
    "FOR EACH ROW EXECUTE FUNCTION ledger_refuse()",
    "CREATE TRIGGER ledger_keeps BEFORE TRUNCATE ON ledger_entries "
    "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()",
    "CREATE TRIGGER ledger_chains BEFORE INSERT ON ledger_entries "
    "FOR EACH ROW EXECUTE FUNCTION ledger_follow()",
)


def create_tables(connection: Connection) -> None:
    """Makes tables and rules, inside the caller's transaction."""
    METADATA.create_all(connection)
    for statement in _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL:
        connection.execute(text(statement))
    connection.execute(SCHEMA.insert().values(version=VERSION))


def missing_rules(connection: Connection) -> list[str]:
    """Those of the rules that somebody has dropped or switched off."""
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.dialect.name == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE tgrelid = 'ledger_entries'::regclass AND tgenabled <> 'D'"
    )
    return sorted(RULES - set(connection.execute(text(query)).scalars()))

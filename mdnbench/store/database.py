"""The SQLite file of a store: open it, commit outcomes as cells finish, and find stored results."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

from mdnbench.errors import StoreError
from mdnbench.spec.records import Cell, Outcome
from mdnbench.spec.timings import TimingRecord
from mdnbench.store import journal, schema, sqlite_files
from mdnbench.store.facts import Provenance, RunFacts
from mdnbench.store.rows import RunRow, StoredOutput, TimingRow
from mdnbench.util import ending, jsonfile, limits
from mdnbench.util.limits import STORE_BUSY_S

# Scores belong to an output's pixels, so they are deleted when the pixels change.
_STALE = """
    DELETE FROM scores WHERE output IN (SELECT id FROM outputs WHERE key = ? AND (? <> 'ok' OR output_digest <> ?))
"""
_TAKEN_OVER = "UPDATE OR IGNORE outputs SET key = ? WHERE key = ? AND status <> 'ok'"
_SCORE = """
    INSERT INTO scores (output, rule, metric, revision, status, reason, value) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (output, rule, metric, revision) DO UPDATE SET status = excluded.status, reason = excluded.reason,
        value = excluded.value
    WHERE ? OR scores.status <> 'ok' OR excluded.status = 'ok'
"""
# A run stays the same run when these facts change.
_CIRCUMSTANCES = ("environment", "machines", "notes")
_TAKEN = (
    "another run, begun later, took the name {!r}; what was stored of this one stays. Run it again with another --out."
)
# The errors from reading a damaged file. If a name in it is not UTF-8, Python fails before SQLite can report it.
DAMAGE = (sqlite3.Error, UnicodeDecodeError)
MORE = "`mdnbench store check` says more; restore the store from a copy, or move it away."

opened: dict[Path, None] = {}  # the stores that this process has opened, to examine after a failure

_connections: WeakKeyDictionary[_Connection, int] = WeakKeyDictionary()  # and the processes that opened them

Record = TypeVar("Record")
Prepare = Callable[[sqlite3.Connection, str], None]


class _Connection(sqlite3.Connection):
    """A connection that weak references may lead to, and that may outlive its `Store`."""


def open_store(path: Path, *, prepare: Prepare = schema.prepare) -> Store:
    """Open the store at `path`. If there is none, create it.

    Args:
        path: The file.
        prepare: Checks the schema.

    Raises:
        StoreError: The store cannot be used: it is damaged, has another version, was not made by mdnbench, or is not an
            ordinary file.
    """
    try:
        sqlite_files.require_files(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        return _opened(path, prepare)
    except (*DAMAGE, OSError) as error:
        refusal = "it was not changed. Move it away or choose another folder."
        raise StoreError(f"the store {path} cannot be used ({error}); {refusal}") from error


def _opened(path: Path, prepare: Prepare) -> Store:
    try:
        return _connected(path, prepare)
    except sqlite3.OperationalError as error:
        if not journal.may_lack_shared_memory(error):
            raise
        with suppress(sqlite3.Error):
            return _connected(path, journal.prepare_alone)
        raise


def _connected(path: Path, prepare: Prepare) -> Store:
    # SQLite treats a file of one byte as empty, and would overwrite it.
    if path.is_file() and path.stat().st_size == 1:
        raise sqlite3.DatabaseError("file is not a database")
    connection = sqlite3.connect(path, timeout=STORE_BUSY_S, isolation_level=None, factory=_Connection)
    _connections[connection] = os.getpid()
    try:
        steps = sqlite_files.settle(connection)
        steps.allow(limits.WRITE_STEPS, path)
        prepare(connection, str(path))
        steps.limit()
        opened[path] = None
        return Store(path, connection, steps, wal=journal.choose(connection, path.parent))
    except BaseException:
        connection.close()
        raise


def _close_all() -> None:
    """Close the stores that are still open, so that SQLite leaves no journal next to one."""
    for connection, pid in list(_connections.items()):
        with suppress(sqlite3.Error):
            if pid == os.getpid():
                connection.close()


ending.register(_close_all)


class Store:
    """An open store. Only the coordinating process writes to it."""

    def __init__(self, path: Path, connection: sqlite3.Connection, steps: sqlite_files.Steps, *, wal: bool) -> None:
        self.path = path
        self.wal = wal
        self.connection = connection
        self.checked: set[int] = set()  # ids of the runs whose rows were checked and are correct
        self._steps = steps
        self._provenances: dict[str, int] = {}
        self._names: dict[int, str] = {}  # names of the runs that were started or read here, by id

    @property
    def images(self) -> Path:
        """Return the folder of stored images, next to the file."""
        return self.path.parent / "images"

    @property
    def note(self) -> str:
        """Return a note for the user about this store, or ''."""
        return "" if self.wal else journal.NOTE.format(self.path.parent)

    def close(self) -> None:
        """Close the file. Everything that was committed is kept."""
        self.connection.close()

    def __enter__(self) -> Self:
        """Return the store, which is closed at the end of the context."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside the context together, or nothing.

        Raises:
            StoreError: The file cannot be written.
        """
        self.allow_writing()
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield
            self.connection.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            if isinstance(error, DAMAGE):
                raise StoreError(f"the store {self.path} cannot be written: {error}.{_advice(error)}") from error
            raise
        finally:
            self._steps.limit()

    def _roll_back(self) -> None:
        self._provenances.clear()  # new ones were not committed
        schema.roll_back(self.connection)

    def allow_writing(self, *others: Path) -> None:
        """Allow SQLite more steps, for a transaction or a long statement. It may also read the files `others`."""
        self._steps.allow(limits.WRITE_STEPS, self.path, *others)

    def select(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query one by one.

        Raises:
            StoreError: The file is damaged.
        """
        self._steps.allow(limits.READ_STEPS, self.path)
        try:
            for row in self.connection.execute(query, values):  # noqa: UP028 (it would close the cursor after the store)
                yield row
        except DAMAGE as error:
            raise StoreError(f"the store {self.path} cannot be read: {error}.{_advice(error)}") from error

    # -- outputs and scores ------------------------------------------------------------------------------------

    def outputs(
        self, keys: Sequence[str], rule: str = "", revisions: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, StoredOutput]:
        """Return the stored outputs among these keys, with the number of metrics that have a value.

        Args:
            keys: The keys of outputs.
            rule: The digest of the scoring rule.
            revisions: The metrics to count, with the revisions of their scores.

        Returns:
            The outputs that are stored, by key.
        """
        count, values = _count_of_scores(rule, revisions)
        marks = ",".join("?" * len(keys))
        # Values that mdnbench never writes, such as a digest of type BLOB, are ignored: such a cell is computed again.
        query = f"""
            SELECT o.key, o.id, o.status, o.output_digest, {count} FROM outputs o
            WHERE o.key IN ({marks}) AND typeof(o.status) = 'text' AND typeof(o.output_digest) = 'text'
        """
        return {key: StoredOutput(*rest) for key, *rest in self.select(query, [*values, *keys])}

    def complete(self, cells: Sequence[Sequence[str]], rule: str, revisions: Mapping[str, str]) -> int:
        """Return how many cells have a value of each metric under the rule. Each cell is given by its possible keys."""
        places = {key: place for place, keys in enumerate(cells) for key in keys}
        if not places:
            return 0
        count, values = _count_of_scores(rule, revisions)
        marks = ",".join("?" * len(places))
        query = f"SELECT o.key FROM outputs o WHERE o.key IN ({marks}) AND o.status = 'ok' AND {count} = ?"
        return len({places[key] for (key,) in self.select(query, [*places, *values, len(revisions)])})

    def scored(self, ids: Sequence[int], rule: str, revisions: Mapping[str, str]) -> dict[int, set[str]]:
        """Return the metrics that have a value under the scoring rule at these revisions, for each output."""
        marks = ",".join("?" * len(ids))
        query = f"SELECT output, metric, revision, status FROM scores WHERE rule = ? AND output IN ({marks})"
        found: dict[int, set[str]] = {}
        for output, metric, revision, status in self.select(query, [rule, *ids]):
            if revisions.get(metric) == revision and status == "ok":
                found.setdefault(output, set()).add(metric)
        return found

    def other_case(self, run: int, positions: Sequence[int], manifests: Sequence[int], noisy_digest: str) -> str:
        """Return the method of a cell of a run that has another noisy image, or ''.

        Args:
            run: The id of the run.
            positions: The positions of the cells to search.
            manifests: Only outputs with one of these manifests are searched, because others belong to earlier code.
            noisy_digest: The digest of the noisy image to compare with.
        """
        marks, codes = ",".join("?" * len(positions)), ",".join("?" * len(manifests))
        query = f"""
            SELECT c.method FROM run_cells c JOIN outputs o ON o.id = c.output
            WHERE c.run = ? AND c.position IN ({marks}) AND o.manifest IN ({codes})
            AND o.noisy_digest NOT IN ('', ?) LIMIT 1
        """
        found = next(self.select(query, [run, *positions, *manifests, noisy_digest]), None)
        return found[0] if found else ""

    def save(
        self,
        cell: Cell,
        outcome: Outcome,
        rule: str,
        revisions: Mapping[str, str],
        provenance: Provenance,
        *,
        key: str = "",
        manifest: int | None = None,
        fresh: bool = False,
    ) -> int:
        """Write the outcome of a cell, which replaces an earlier output of the same key. Call this in a transaction.

        When the pixels of the output change, all its scores are deleted, under any rule.

        Args:
            cell: The cell.
            outcome: The outcome.
            rule: The digest of the scoring rule.
            revisions: The revisions of the metrics' scores.
            provenance: What the output depends on.
            key: The cell's base key, combined with the token of the manifest of its files. Without it, no later run
                uses the output.
            manifest: The id of the manifest.
            fresh: As for `save_scores`.

        Returns:
            The id of the output.
        """
        key = key or cell.output
        if key != cell.output:  # replaces a failure, whose code is not known
            self.connection.execute(_TAKEN_OVER, (key, cell.output))
        self.connection.execute(_STALE, (key, outcome.status, outcome.output_digest))
        row = self.connection.execute(
            """INSERT INTO outputs (key, case_key, method, status, reason, traceback, seconds, noisy_digest,
                                    output_digest, provenance, created, manifest, base)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT (key) DO UPDATE SET status = excluded.status, reason = excluded.reason,
                   traceback = excluded.traceback, seconds = excluded.seconds, noisy_digest = excluded.noisy_digest,
                   output_digest = excluded.output_digest, provenance = excluded.provenance, created = excluded.created,
                   manifest = excluded.manifest
               RETURNING id""",
            (key, cell.case, cell.method, outcome.status, _encodable(outcome.reason),
             _encodable(outcome.traceback), outcome.seconds, outcome.noisy_digest, outcome.output_digest,
             self._provenance(provenance), now(), manifest, cell.output),
        ).fetchone()  # fmt: skip
        identity = int(row[0])
        self.save_scores(identity, outcome, rule, revisions, fresh=fresh)
        return identity

    def save_scores(
        self, output: int, outcome: Outcome, rule: str, revisions: Mapping[str, str], *, fresh: bool = False
    ) -> None:
        """Write the scores of an output under a scoring rule. Call this inside a transaction.

        A score that is ok is replaced by one that is not only if `fresh` is set.
        """
        self.connection.executemany(
            _SCORE,
            [
                (output, rule, each.metric, revisions[each.metric], each.status, _encodable(each.reason), each.value,
                 fresh)
                for each in outcome.scores
            ],
        )  # fmt: skip

    def _provenance(self, content: Provenance) -> int:
        text = jsonfile.text_of(content, sort_keys=True)
        if text not in self._provenances:
            self.connection.execute("INSERT OR IGNORE INTO provenances (content) VALUES (?)", (text,))
            found = self.connection.execute("SELECT id FROM provenances WHERE content = ?", (text,)).fetchone()
            self._provenances[text] = int(found[0])
        return self._provenances[text]

    # -- runs --------------------------------------------------------------------------------------------------

    def start_run(self, name: str, planned: int, facts: RunFacts) -> int:
        """Start a run of this name, or restart it. Outputs are not changed.

        A new run has no cells yet. If the same run restarts, or starts in another process at the same time, it keeps
        its cells.

        Args:
            name: The name of the run.
            planned: The number of its cells.
            facts: The facts that define it.

        Returns:
            The id of the run.
        """
        text = jsonfile.text_of(facts)
        with self.transaction():
            self._retire(name, planned, text)
            row = self.connection.execute(
                """INSERT INTO runs (name, created, planned, facts) VALUES (?, ?, ?, ?)
                   ON CONFLICT (name) DO UPDATE SET created = excluded.created, finished = '',
                       planned = excluded.planned, facts = excluded.facts
                   RETURNING id""",
                (name, now(), planned, text),
            ).fetchone()
        self._names[row[0]] = name
        return int(row[0])

    def _retire(self, name: str, planned: int, facts: str) -> None:
        """End a different run of this name. Its id changes too, which stops a process that still computes it."""
        found = self.connection.execute("SELECT id, planned, facts FROM runs WHERE name = ?", (name,)).fetchone()
        if found and (found[1], _cells_by(found[2])) != (planned, _cells_by(facts)):
            self.connection.execute("DELETE FROM run_cells WHERE run = ?", found[:1])
            self.connection.execute("UPDATE runs SET id = (SELECT max(id) + 1 FROM runs) WHERE id = ?", found[:1])

    def require_run(self, run: int) -> None:
        """Check that a run still exists.

        Raises:
            StoreError: Another run has taken its name.
        """
        if not next(self.select("SELECT count(*) FROM runs WHERE id = ?", (run,)))[0]:
            raise StoreError(_TAKEN.format(self._names.get(run, "")))

    def add_cells(self, run: int, cells: Iterable[tuple[int, int, Cell]]) -> None:
        """Add cells to a run that still exists. Call this inside a transaction.

        Args:
            run: The id of the run.
            cells: The position, the output's id and the cell, for each cell.

        Raises:
            StoreError: Another run has taken its name.
        """
        self.require_run(run)
        self.connection.executemany(
            "INSERT OR REPLACE INTO run_cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (run, position, output, c.dataset, c.image, c.image_digest, c.noise, c.seed, c.noise_info, c.method)
                for position, output, c in cells
            ],
        )

    def amend_run(self, run: int, facts: RunFacts) -> None:
        """Replace the facts of a run, when more has become known during the run."""
        with self.transaction():
            self.require_run(run)
            self.connection.execute("UPDATE runs SET facts = ? WHERE id = ?", (jsonfile.text_of(facts), run))

    def finish_run(self, run: int) -> None:
        """Mark a run as finished."""
        with self.transaction():
            self.require_run(run)
            self.connection.execute("UPDATE runs SET finished = ? WHERE id = ?", (now(), run))

    def run(self, name: str) -> RunRow | None:
        """Return the run of this name, or None if there is none.

        Raises:
            StoreError: Its row has values that mdnbench never writes.
        """
        query = "SELECT id, name, created, finished, planned, facts FROM runs WHERE name = ?"
        row = next(self.select(query, (name,)), None)
        if row is None:
            return None
        identity, name, created, finished, planned, facts = row
        if [*map(type, (name, created, finished, planned))] != [str, str, str, int]:
            raise StoreError(f"the store {self.path} is damaged: the row of the run {name!r}. {MORE}")
        self._names[identity] = name
        known = self.decoded(facts, RunFacts, f"facts of the run {name!r}")
        return RunRow(identity, name, created, finished, planned, known)

    def run_names(self) -> list[str]:
        """Return the names of all runs, newest first."""
        query = "SELECT name FROM runs WHERE typeof(name) = 'text' ORDER BY created DESC, id DESC"
        return [row[0] for row in self.select(query)]

    def decoded(self, text: Any, kind: type[Record], what: str) -> Record:
        """Return the record of a stored text.

        Args:
            text: The text.
            kind: The type of the record.
            what: What the text is, for the error message.

        Raises:
            StoreError: The text is not JSON of this type.
        """
        try:
            return jsonfile.parse(text, kind)
        except ValueError as error:
            raise StoreError(f"the store {self.path} is damaged: the {what}: {error}. {MORE}") from None

    # -- timings -----------------------------------------------------------------------------------------------

    def timing(self, key: str) -> TimingRow | None:
        """Return the timing record of this key, or None if there is none."""
        row = next(self.select("SELECT key, created, content FROM timings WHERE key = ?", (key,)), None)
        return TimingRow(row[0], row[1], self.decoded(row[2], TimingRecord, f"timing {key!r}")) if row else None

    def save_timing(self, key: str, content: TimingRecord) -> None:
        """Write a timing record, which replaces an earlier one of the same key."""
        with self.transaction():
            values = (key, now(), jsonfile.text_of(content))
            self.connection.execute("INSERT OR REPLACE INTO timings VALUES (?, ?, ?)", values)


def _count_of_scores(rule: str, revisions: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return SQL for the number of an output's values by these metrics under the rule, and its parameters."""
    metrics = " OR ".join(["(s.metric = ? AND s.revision = ?)"] * len(revisions)) or "FALSE"
    query = f"(SELECT count(*) FROM scores s WHERE s.output = o.id AND s.rule = ? AND s.status = 'ok' AND ({metrics}))"
    return query, [rule, *chain.from_iterable(revisions.items())]


def _cells_by(facts: str) -> str:
    """Return those facts of a run that determine its cells, as text. Their order matters too."""
    return json.dumps({key: fact for key, fact in json.loads(facts).items() if key not in _CIRCUMSTANCES})


def _encodable(text: str) -> str:
    """Return a text that SQLite accepts. Lone surrogates, as from file names that are not UTF-8, become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _advice(error: Exception) -> str:
    """Return a sentence about what to do if the file itself is damaged, or ''."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        return f" It takes far more work than a file of its size should. {MORE}"
    damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, UnicodeDecodeError)
    return " Move it away, or restore it from a copy." if damaged else ""


def now() -> str:
    """Return the current time in UTC, to the millisecond, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""An ORM query compiled once, for the few that run on every request.

Building and compiling a query set costs several times what the database needs to answer it.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from sqlite3 import converters as sqlite_converters
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.models import BooleanField, DateTimeField, FloatField, Model, QuerySet, Subquery, TextField

from brokers import shared_reads
from brokers.decimals import ExactDecimalField

if TYPE_CHECKING:
    _TextField = TextField[Any, Any]
else:
    _TextField = TextField

M = TypeVar("M", bound=Model)
T = TypeVar("T")
Value = str | int | datetime

_MOST_NAMES = 128
_MOST_MADE = 4096


_PLACE = re.compile(r"%[%s]")
_QMARK = {"%s": "?", "%%": "%"}


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    """As Django's cursors take it."""
    native: str
    """As the database's own client takes it."""
    places: Sequence[int | None]
    """Of each parameter, which of the values it is; None: the constant at the same place."""
    constants: Sequence[Any]
    compiler: Any
    converters: dict[int, Any]

    def rows(self, values: Sequence[Value]) -> list[tuple[Any, ...]]:
        return self.converted(self.raw_rows(values))

    def raw_rows(self, values: Sequence[Value]) -> list[tuple[Any, ...]]:
        """As the database's client gives them."""
        database = connections[DEFAULT_DB_ALIAS]
        given = [_adapted(value) for value in values]
        parameters = [
            constant if place is None else given[place]
            for place, constant in zip(self.places, self.constants, strict=True)
        ] or None
        found: list[tuple[Any, ...]]
        if database.execute_wrappers or database.queries_logged:
            with database.cursor() as cursor:
                cursor.execute(self.sql, parameters)
                found = cursor.fetchall()
            return found
        # Past Django's cursor, which writes the text anew for each call: that costs as much as the database's answer.
        database.validate_thread_sharing()
        database.ensure_connection()
        database.validate_no_broken_transaction()
        with database.wrap_database_errors:
            client: Any = database.connection
            if database.vendor == "sqlite":
                found = client.execute(self.native, parameters or ()).fetchall()
            else:
                with client.cursor() as cursor:
                    found = cursor.execute(self.native, parameters).fetchall()
        return found

    def converted(self, found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """As the ORM gives them."""
        if not self.converters:
            return found
        return [tuple(row) for row in self.compiler.apply_converters(found, self.converters)]


def _compile(build: Callable[..., QuerySet[Any, Any]], values: Sequence[Value]) -> _Compiled:
    """Raises ValueError for a query that does not take one of its values as it is.

    It is built with values that occur nowhere else, so that a constant of the query is never taken for one of them.
    """
    marks = [_placeholder(value, place) for place, value in enumerate(values)]
    known = {_adapted(mark): place for place, mark in enumerate(marks)}
    compiler = build(*marks).query.get_compiler(connection=connection)
    sql, constants = compiler.as_sql()
    places = [known.get(constant) for constant in constants]
    if not set(places).issuperset(known.values()):
        raise ValueError(f"This query does not take all of its values: {sql}")
    native = _PLACE.sub(lambda found: _QMARK[found[0]], sql) if constants and connection.vendor == "sqlite" else sql
    converters = compiler.get_converters([column for column, _, _ in compiler.select])
    return _Compiled(sql, native, places, constants, compiler, converters)


def _placeholder(value: Value, place: int) -> Value:
    if isinstance(value, datetime):
        return datetime(1871, 3, 9, 4, 7, 11, 130_713, tzinfo=UTC) + timedelta(days=place)
    return f"the value of place {place}" if isinstance(value, str) else 1_871_309_000 + place


class _Query:
    """A query set with parameters, compiled once for each database and number of values."""

    def __init__(self, build: Callable[..., QuerySet[Any, Any]]) -> None:
        self._build = build
        self._compiled: dict[tuple[str, int], _Compiled] = {}

    def compiled(self, values: Sequence[Value]) -> _Compiled:
        kind = (connection.vendor, len(values))
        known = self._compiled.get(kind)
        if known is None:
            known = self._compiled[kind] = _compile(self._build, values)
        return known


class Statement:
    """A ``values_list`` query with parameters. ``build`` makes the query set for given values."""

    def __init__(self, build: Callable[..., QuerySet[Any, tuple[Any, ...]]]) -> None:
        self._query = _Query(build)

    def rows(self, *values: Value) -> list[tuple[Any, ...]]:
        """All rows, their values as the ORM would give them. Raises django.db.DatabaseError."""
        return self._query.compiled(values).rows(values)

    def first(self, *values: Value) -> tuple[Any, ...] | None:
        found = self.rows(*values)
        return found[0] if found else None

    def shared(self, *values: Value) -> list[tuple[Any, ...]]:
        """As ``rows``, but read once for requests that this thread answers together."""
        return shared_reads.shared((self, values), partial(self.rows, *values))


class Lookup(Generic[T]):
    """What is made of the one row that a text names, such as a key's; several are found by one statement.

    The database is asked each time, and answers with each row as one text, since its client makes each value of a row,
    which costs more than all else. What is made of a row is kept for as long as rows of exactly that text come back: it
    must depend on nothing else, and not change. Not for columns of floats, of which SQLite writes 15 digits.
    """

    def __init__(
        self, build: Callable[..., QuerySet[Any, tuple[Any, ...]]], make: Callable[[tuple[Any, ...]], T]
    ) -> None:
        """``build`` makes the ``values_list`` query of the rows that any of its values names, with the name in front.

        ``make`` takes the rest of a row, its values as the ORM would give them.
        """
        self._query = _Query(build)
        self._make = make
        self._made: dict[str, tuple[str, T]] = {}
        self._as_text: dict[tuple[str, int, str], _Compiled] = {}

    def find(self, name: str) -> T | None:
        """Where requests are answered together, what ``find_together`` found. Raises django.db.DatabaseError."""
        return shared_reads.shared((self, name), lambda: self._read([name]).get(name))

    def find_together(self, names: Collection[str]) -> None:
        """Read what requests that this thread answers together will look for. Raises django.db.DatabaseError."""
        wanted = list(dict.fromkeys(names))
        for start in range(0, len(wanted), _MOST_NAMES):
            some = wanted[start : start + _MOST_NAMES]
            found = self._read(some)
            for name in some:
                shared_reads.put((self, name), found.get(name))

    def _read(self, names: list[str]) -> dict[str, T]:
        # A text for one, two, four … names: the last is named again where there are fewer.
        places = 1 << (len(names) - 1).bit_length()
        values = [*names, *[names[-1]] * (places - len(names))]
        compiled = self._query.compiled(values)
        texts = [text for (text,) in self._telling(compiled, values, "").raw_rows(values)]
        known = [self._made.get(text) for text in texts]
        if None in known:
            if connection.vendor == "sqlite":
                told = [(text, *_client_values(compiled, json.loads(text))) for text in texts]
            else:
                # All come once more, each with its values, in one statement: what is made of values is kept by the text
                # that came with them.
                told = self._telling(compiled, values, ", found.*").raw_rows(values)
            known = [self._made_of(text, row, compiled) for text, *row in told]
        return dict([each for each in known if each is not None])

    def _telling(self, compiled: _Compiled, values: list[str], more: str) -> _Compiled:
        """``compiled``, with each row as one text, and ``more`` behind it."""
        kind = (connection.vendor, len(values), more)
        known = self._as_text.get(kind)
        if known is None:
            columns = ", ".join(f"c{place}" for place in range(len(compiled.compiler.select)))
            told = "found::text" if connection.vendor == "postgresql" else f"json_array({columns})"
            sql, native = (
                f"WITH found ({columns}) AS ({each}) SELECT {told}{more} FROM found"  # noqa: S608 - nothing of a caller's
                for each in (compiled.sql, compiled.native)
            )
            known = self._as_text[kind] = replace(compiled, sql=sql, native=native)
        return known

    def _made_of(self, text: str, row: Sequence[Any], compiled: _Compiled) -> tuple[str, T]:
        known = self._made.get(text)
        if known is None:
            if len(self._made) >= _MOST_MADE:
                self._made.clear()
            name, *own = compiled.converted([tuple(row)])[0]
            known = self._made[text] = name, self._make(tuple(own))
        return known


def _client_values(compiled: _Compiled, told: Sequence[Any]) -> list[Any]:
    """What SQLite's client makes of a row's values, which depends on how their columns are declared."""
    made = []
    for value, (column, _, _) in zip(told, compiled.compiler.select, strict=True):
        declared = (column.output_field.db_type(connection) or "").upper().partition("(")[0]
        convert = None if value is None else sqlite_converters.get(declared)
        made.append(value if convert is None else convert(str(value).encode()))
    return made


class Instances(Generic[M]):
    """As ``Statement``, of whole rows: each has what its query selects as related, and its annotations.

    One that locks rows is for use within a transaction, as any such query is.
    """

    def __init__(self, build: Callable[..., QuerySet[M, M]]) -> None:
        self._query = _Query(build)
        self._makers: dict[str, Callable[[tuple[Any, ...]], M]] = {}

    def rows(self, *values: Value) -> list[M]:
        """Raises django.db.DatabaseError."""
        statement = self._query.compiled(values)
        made = self._makers.get(connection.vendor)
        if made is None:
            compiler = statement.compiler
            made = _instance_maker(compiler.select, compiler.klass_info, compiler.annotation_col_map)
            self._makers[connection.vendor] = made
        return [made(row) for row in statement.rows(values)]

    def first(self, *values: Value) -> M | None:
        found = self.rows(*values)
        return found[0] if found else None


class Insertion(Generic[M]):
    """An INSERT of one whole row of a model whose primary key the database gives, its text written once.

    No signals are sent, and no parent of the model's is written.
    """

    def __init__(self, model: type[M]) -> None:
        self._model = model
        self._fields = [field for field in model._meta.concrete_fields if not field.primary_key]
        self._written: dict[str, str] = {}

    def create(self, **fields: Any) -> M:
        """As the manager's ``create``: the row, with its primary key. Raises django.db.DatabaseError."""
        return self.insert(self._model(**fields))

    def insert(self, instance: M) -> M:
        """As ``save`` of a new row. Raises django.db.DatabaseError."""
        values = {
            f"p{place}": field.get_db_prep_save(field.pre_save(instance, True), connection=connection)
            for place, field in enumerate(self._fields)
        }
        with transaction.mark_for_rollback_on_error(using=DEFAULT_DB_ALIAS), connection.cursor() as cursor:
            cursor.execute(self._sql(), values)
            instance.pk = cursor.fetchone()[0]
        instance._state.adding, instance._state.db = False, DEFAULT_DB_ALIAS
        return instance

    def _sql(self) -> str:
        known = self._written.get(connection.vendor)
        if known is None:
            meta, quote = self._model._meta, connection.ops.quote_name
            columns = ", ".join(quote(str(field.column)) for field in self._fields)
            places = ", ".join(f"%(p{place})s" for place in range(len(self._fields)))
            into = f"INSERT INTO {quote(meta.db_table)} ({columns})"
            known = f"{into} VALUES ({places}) RETURNING {quote(str(meta.pk.column))}"
            self._written[connection.vendor] = known
        return known


class RowUpdate:
    """An UPDATE of a model's rows, picked by given columns: its text is written once for each set of fields.

    No signals are sent, as with a query set's ``update``.
    """

    def __init__(self, model: type[Model], *where: str) -> None:
        """``where`` are the attributes that pick the rows."""
        self._model, self._where = model, where
        self._fields = {field.attname: field for field in model._meta.concrete_fields}
        self._written: dict[tuple[str, ...], str] = {}

    def make(self, *where: Any, **fields: Any) -> int:
        """How many rows it changed. ``fields`` are named by their attributes. Raises django.db.DatabaseError."""
        values = {
            f"p{place}": self._fields[name].get_db_prep_save(value, connection=connection)
            for place, (name, value) in enumerate((*fields.items(), *zip(self._where, where, strict=True)))
        }
        with transaction.mark_for_rollback_on_error(using=DEFAULT_DB_ALIAS), connection.cursor() as cursor:
            cursor.execute(self._sql(tuple(fields)), values)
            changed: int = cursor.rowcount
        return changed

    def _sql(self, names: tuple[str, ...]) -> str:
        known = self._written.get((connection.vendor, *names))
        if known is None:
            quote = connection.ops.quote_name
            columns = [quote(str(self._fields[name].column)) for name in (*names, *self._where)]
            told = [f"{column} = %(p{place})s" for place, column in enumerate(columns)]
            which = " AND ".join(told[len(names) :])
            known = f"UPDATE {quote(self._model._meta.db_table)} SET {', '.join(told[: len(names)])} WHERE {which}"  # noqa: S608  # names of columns
            self._written[(connection.vendor, *names)] = known
        return known


class JsonRows(Subquery):
    """The rows of a sub-select as one value: a list of tuples, in no order that is promised.

    Of floats SQLite keeps 15 digits; everything else is exact.
    """

    def __init__(self, found: QuerySet[Any, Any], *names: str) -> None:
        """``names`` are those of fields, or of annotations of ``found``."""
        annotated: Mapping[str, Any] = found.query.annotations
        meta: Any = found.model._meta
        fields = {name: None if name in annotated else meta.get_field(name) for name in names}
        self._columns = [name if field is None else field.column for name, field in fields.items()]
        of = [annotated[name].output_field if field is None else field for name, field in fields.items()]
        super().__init__(found.order_by().values(*names), output_field=_Rows([_decoder(each) for each in of]))

    def as_sql(self, compiler: Any, connection: Any, template: Any = None, **context: Any) -> Any:
        of_one, of_all = _JSON[connection.vendor]
        columns = ", ".join(f"found.{connection.ops.quote_name(name)}" for name in self._columns)
        made = of_all.format(f"{of_one}({columns})")
        # All of it are names of columns and of functions.
        whole = f"(SELECT {made} FROM (%(subquery)s) found)"  # noqa: S608
        return super().as_sql(compiler, connection, whole, **context)


class _Rows(_TextField):
    """What ``JsonRows`` makes, on its way back."""

    def __init__(self, decoders: Sequence[Callable[[Any], Any]] = ()) -> None:
        super().__init__()
        self._decoders = decoders

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> list[tuple[Any, ...]]:
        if value is None or value == "[]":
            return []
        told = json.loads(value, parse_float=Decimal)
        return [tuple([decode(each) for decode, each in zip(self._decoders, row, strict=True)]) for row in told]


_JSON = {
    "sqlite": ("json_array", "json_group_array({})"),
    "postgresql": ("json_build_array", "json_agg({})::text"),
}


def _decoder(field: Any) -> Callable[[Any], Any]:
    """From what a database writes as JSON to what the ORM gives for the field."""
    if isinstance(field, DateTimeField):
        return _moment
    if isinstance(field, BooleanField):
        return bool
    if isinstance(field, FloatField):
        return lambda told: None if told is None else float(told)
    if isinstance(field, ExactDecimalField):
        return field.to_python
    return _as_told


def _as_told(told: Any) -> Any:
    return told


def _moment(told: str | None) -> datetime | None:
    if told is None:
        return None
    found = datetime.fromisoformat(told)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _instance_maker(select: Any, info: Any, annotations: Mapping[str, int]) -> Callable[[tuple[Any, ...]], Any]:
    """What makes an instance of a row, None where a row has none: as a query set's own iterator does."""
    model, columns = info["model"], info["select_fields"]
    start, end = columns[0], columns[-1] + 1
    names = [column.target.attname for column, _, _ in select[start:end]]
    key = start + names.index(model._meta.pk.attname)
    related = [
        (_instance_maker(select, each, {}), each["local_setter"], each["remote_setter"])
        for each in info.get("related_klass_infos", ())
    ]

    def made(row: tuple[Any, ...]) -> Any:
        if row[key] is None:
            return None
        instance = model.from_db(DEFAULT_DB_ALIAS, names, row[start:end])
        for make, to_instance, to_other in related:
            other = make(row)
            to_instance(instance, other)
            if other is not None:
                to_other(other, instance)
        for name, place in annotations.items():
            setattr(instance, name, row[place])
        return instance

    return made


def _adapted(value: Value) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value

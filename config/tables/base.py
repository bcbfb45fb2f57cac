"""What all tables have alike: the naming of constraints, the types of columns, ids and revisions."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, String, TypeDecorator, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .. import clock

OID_LENGTH: Final = 24
CREDENTIAL_LENGTH: Final = 32

BigId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite generates ids only in a column whose type is exactly INTEGER."""
NEVER_REUSED: Final = {"sqlite_autoincrement": True}
"""The id of a deleted row is not given to another row."""


class UtcDateTime(TypeDecorator[datetime]):
    """Times in UTC. SQLite stores no time zone, so it is removed on write and added on read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


class Table(DeclarativeBase):
    """The base of all tables. One rule gives the names of constraints, so that migrations can use them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Identified(Table):
    """The columns of every resource: our number, the public id of 24 hex digits, creation and update time."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    oid: Mapped[str] = mapped_column(String(OID_LENGTH), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.utc_now, onupdate=clock.utc_now)


class Revised(Identified):
    """A column for the ETag of a row, unless the row has a version already."""

    __abstract__ = True

    revision: Mapped[int] = mapped_column(
        BigInteger, default=1, server_default="1", onupdate=text("revision + 1")
    )
    """Grows with each change of the row; `operations.dial_plan` raises it for changes of its members."""


class Lease(Table):
    """One row: the process that does a job which only one process may do."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    owner: Mapped[str] = mapped_column(String(64))
    until: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.utc_now)
    """End of the lease; another process may take it then."""

"""The table of products: what phones and side panels were bought as."""

from typing import Final

from sqlalchemy import Numeric
from sqlalchemy.orm import Mapped, mapped_column

from .. import checks
from ..properties import NAMED, TEXT, Kind, stored, string_of, text_of
from .base import NEVER_REUSED, BigId, Revised

CODE_WORD: Final = string_of(32, checks.code_word, "{} must be a word in upper case, at most 32 characters")
_MONEY: Final = "{} must be a number of at most two decimals, not below 0"
PRICE: Final = Kind("number", Numeric(12, 2, asdecimal=False), checks.price, _MONEY)


class Product(Revised):
    """The product as which a phone or a side panel was bought."""

    __tablename__ = "product"
    __table_args__ = (NEVER_REUSED,)

    reseller_id: Mapped[int | None] = mapped_column(BigId, index=True)
    """Id of the customer that owns the product; None: every customer may use it."""
    type: Mapped[str] = stored(
        CODE_WORD,
        "PBX_SIP_PHONE (what a phone refers to), SIDE_PANEL, or a word of your own",
        NAMED,
        required=True,
    )
    product_code: Mapped[str] = stored(text_of(64), "Number in your shop", NAMED, required=True)
    name: Mapped[str] = stored(TEXT, "Name of the product", NAMED, required=True)
    price: Mapped[float | None] = stored(PRICE, "What it costs", NAMED)

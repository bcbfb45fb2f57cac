"""A phone while it is created or changed: its columns, and the rows that it will refer to."""

from ...tables import Customer, Extension, SipPhone, SipPhoneModel
from ..document import Document
from ..draft import Draft


class PhoneDraft(Draft[SipPhone]):
    """A collector of columns and problems; nothing is written before `refuse_problems` returns."""

    def __init__(self, document: Document, customer: Customer | None, stored: SipPhone | None = None) -> None:
        super().__init__(document, stored)
        self.customer = customer
        self.model: SipPhoneModel | None = None
        """The model that the phone will have, or None if an unknown one was sent."""
        self.model_changed = stored is None
        self.extension: Extension | None = None
        """The extension that the phone will have."""

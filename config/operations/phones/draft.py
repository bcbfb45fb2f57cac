"""A phone while it is being created or changed: beside its own columns, what it will point to."""

from ...tables import Customer, Extension, SipPhone, SipPhoneModel
from ..document import Document
from ..draft import Draft


class PhoneDraft(Draft[SipPhone]):
    """Gathers columns and problems; nothing is written before `refuse_problems` has let it pass."""

    def __init__(self, document: Document, customer: Customer | None, stored: SipPhone | None = None) -> None:
        super().__init__(document, stored)
        self.customer = customer
        self.model: SipPhoneModel | None = None
        """The model it will have; None: an unknown one was sent."""
        self.model_changed = stored is None
        self.extension: Extension | None = None
        """The extension it will have."""

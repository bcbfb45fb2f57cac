"""All tables of the database; the migrations create the views for the SIP side (docs/architecture.md).

A column that is made by `stored(...)` is also a property in the dialects of the API: `config/properties.py`.
"""

from .audit import AuditHead, AuditLog
from .base import CREDENTIAL_LENGTH, OID_LENGTH, Identified, Lease, Revised, Table, UtcDateTime
from .changes import NotedChange
from .dial_plan import (
    Extension,
    Number,
    Queue,
    QueueMember,
    SipGroup,
    SipGroupController,
    SipGroupMember,
    TrustedNetwork,
)
from .history import CallHistory, CallHistoryPerson
from .logins import EmployeeTotp, LoginSession, RecoveryCode
from .models import Picture, SeededModel, SipPhoneModel
from .people import Customer, Employee, EmployeeToken, Installation
from .phones import SipPhone, SipPhoneSidePanel, SipPhoneSoftkey
from .products import Product
from .provisioning import Provisioning, ProvisioningFile, ProvisioningLink
from .redirects import Redirect, RedirectLease
from .seen import AccountSeen, SeenFeed
from .webhooks import Webhook, WebhookDelivery, WebhookFeed

__all__ = [
    "CREDENTIAL_LENGTH",
    "OID_LENGTH",
    "AccountSeen",
    "AuditHead",
    "AuditLog",
    "CallHistory",
    "CallHistoryPerson",
    "Customer",
    "Employee",
    "EmployeeToken",
    "EmployeeTotp",
    "Extension",
    "Identified",
    "Installation",
    "Lease",
    "LoginSession",
    "NotedChange",
    "Number",
    "Picture",
    "Product",
    "Provisioning",
    "ProvisioningFile",
    "ProvisioningLink",
    "Queue",
    "QueueMember",
    "RecoveryCode",
    "Redirect",
    "RedirectLease",
    "Revised",
    "SeededModel",
    "SeenFeed",
    "SipGroup",
    "SipGroupController",
    "SipGroupMember",
    "SipPhone",
    "SipPhoneModel",
    "SipPhoneSidePanel",
    "SipPhoneSoftkey",
    "Table",
    "TrustedNetwork",
    "UtcDateTime",
    "Webhook",
    "WebhookDelivery",
    "WebhookFeed",
]  # fmt: skip

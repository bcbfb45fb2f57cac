"""The view of phones shows which browser a WebRTC phone is."""

from typing import Final

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS: Final = """
CREATE VIEW phone_v1 AS
SELECT
    phone.oid AS id,
    phone.version + customer.version + COALESCE(extension.version, 0) AS version,
    phone.username AS username,
    customer.sip_domain AS domain,
    phone.password_enc AS password_enc,
    CAST(NULL AS VARCHAR(64)) AS ha1_md5,
    CAST(NULL AS VARCHAR(64)) AS ha1_sha256,
    customer.oid AS customer,
    customer.state AS customer_state,
    COALESCE(extension.number, '') AS extension,
    phone.secret_version AS secret_version,
    phone.ip_mode AS ip_mode,
    phone.ip_countries AS ip_countries,
    COALESCE(phone.ip_address, '') AS ip_address,
    phone.ip_policy AS ip_policy,
    phone.pbx_cluster AS pbx_cluster,
    CASE WHEN phone.webrtc THEN 1 ELSE 0 END AS webrtc{more}
FROM sip_phone AS phone
JOIN customer ON customer.id = phone.customer_id
LEFT JOIN extension ON extension.id = phone.extension_id
"""
INSTANCE: Final = ",\n    COALESCE(phone.instance_id, '') AS instance_id"


def upgrade() -> None:
    """Create the view again, with one more column."""
    _replace_view(INSTANCE)


def downgrade() -> None:
    """The view as it was."""
    _replace_view("")


def _replace_view(more: str) -> None:
    op.execute("DROP VIEW phone_v1")
    op.execute(COLUMNS.format(more=more))

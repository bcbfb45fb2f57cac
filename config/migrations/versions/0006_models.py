"""How models are provisioned, which models the program brought, and pictures that were uploaded."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "schema_0006"
down_revision = "schema_0005"
branch_labels = None
depends_on = None

OID: Final = sa.String(24)
BROUGHT: Final = {
    "aa84a1ee6d5190cf2aecea60": "12ec54315adef4802517e7ad4eaf4c243f9ebc4e60c857bf030e939f2a6690cc",
    "2d415e0ca6f5e99b6cd2feec": "5698d1a916233caa64d2d495ed7f5176a89dbb8b0d9a19bd3026cd947b094cb8",
    "4baf20d80a67787bcfd329fd": "987208fbf44de3006110329eec932190acff2ab7f837dada8eca1fecb44b6fd6",
    "7869b719d2dfd1c40386b1ce": "f2cdea584821bb0f3dd6aa96202369c41eafc1fff47da11b843dcc70a8a7c2ee",
    "d557daae8a26d7a230c2404a": "e64a96cc429a548d4e8546f86b1ef4c8fca6ff58cd9ed6c74537c0ec1288cb0e",
    "58fe97c8e7b5ab68820bb211": "4f4c6add74c07fe88f3022b2f9e054077fa73b3f5b2f6fa8b38704d30bc66770",
    "94073b7d27571947bb195f32": "0fee34b4356bf939de2a71f82ab464978d64c8060df76e30df5e6f4094cfa753",
}
"""The models that earlier programs brought -> the digest of their values (`config.models.seeding`)."""


def upgrade() -> None:
    """Add the columns and the tables, and note the models that are there already."""
    for column in (
        sa.Column("panel_softkeys", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("writer", sa.String(16)),
        sa.Column("legacy_tls", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("redirect_service", sa.String(16)),
    ):
        op.add_column("sip_phone_model", column)
    op.create_table(
        "picture",
        sa.Column("oid", OID, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("oid", name="pk_picture"),
    )
    seeded = op.create_table(
        "seeded_model",
        sa.Column("oid", OID, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("oid", name="pk_seeded_model"),
    )
    there = op.get_bind().scalars(sa.text("SELECT oid FROM sip_phone_model")).all()
    op.bulk_insert(seeded, [{"oid": oid, "digest": BROUGHT[oid]} for oid in there if oid in BROUGHT])


def downgrade() -> None:
    """Remove what `upgrade` has made. The models keep their values."""
    op.drop_table("seeded_model")
    op.drop_table("picture")
    for name in ("redirect_service", "legacy_tls", "writer", "panel_softkeys"):
        op.drop_column("sip_phone_model", name)

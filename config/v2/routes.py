"""All routes of this dialect."""

from typing import Final

from fastapi import APIRouter

from . import (
    devices,
    domains,
    group_users,
    groups,
    networks,
    queue_members,
    queues,
    user_devices,
    user_groups,
    users,
)

ROUTES: Final[tuple[APIRouter, ...]] = tuple(
    module.routes
    for module in (
        domains,
        users,
        user_devices,
        user_groups,
        groups,
        group_users,
        queues,
        queue_members,
        networks,
        devices,
    )
)

"""All routes of this dialect."""

from typing import Final

from fastapi import APIRouter

from . import devices, domains, groups, memberships, networks, queue_members, users

ROUTES: Final[tuple[APIRouter, ...]] = (
    domains.routes,
    users.routes,
    devices.user_devices,
    memberships.user_groups,
    groups.groups,
    memberships.group_users,
    groups.queues,
    queue_members.routes,
    networks.routes,
    devices.routes,
)

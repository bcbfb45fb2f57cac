"""Webhooks: events are sent to the web servers of customers, by Standard Webhooks."""

"""Zendesk Support: users, organizations and tickets.

    factory.py    what the configuration takes, the login and the rate limits
    catalog.py    the three collections: their paths, their fields, what each can do
    codec.py      the wire ↔ values by field name, and the custom fields of an account
    listing.py    changes by incremental export, snapshots by cursor
    reading.py    records by id and by key
    writing.py    creates, updates and deletes one by one
    identities.py the e-mail address of a user who exists
    jobs.py       creates and updates in bulk
    answers.py    what Zendesk's refusals mean
    hooks.py      signed webhooks
    records.py    the connector, which puts these together

Facts about the API are Zendesk's own: https://developer.zendesk.com/api-reference/
"""

from twoway_connectors.zendesk.factory import Zendesk

__all__ = ["Zendesk"]

"""Mailchimp: the members of one audience.

    factory.py    what the configuration takes, and the login
    audience.py   which audience: by name or id, asked for once
    codec.py      the wire ↔ values by field name, and the fields that an audience has
    listing.py    the audience in the order of its changes, a page at a time
    feed.py       where the feed of changes stands
    tags.py       all the tags of a member that has more than are shown with it
    archived.py   who is archived, and must not be made anew
    writing.py    creates in batches, updates and archiving one by one, and what the answers mean
    members.py    the connector, which puts these together

Facts about the API are Mailchimp's own: https://mailchimp.com/developer/marketing/api/
"""

from twoway_connectors.mailchimp.factory import Mailchimp

__all__ = ["Mailchimp"]

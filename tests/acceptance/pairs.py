"""Mapping files of the acceptance tests, and the accounts at their servers."""

from typing import Any

from tests.acceptance.shelf import Shelf

ADDRESSBOOKS = """\
pair: addressbooks
left: { account: office, collection: contacts }
right: { account: home, collection: contacts }
start: left
match: [email]
conflict: left
delete: { on_left: delete, on_right: delete }
fields:
  full_name: { left: fn, right: fn, blank: fill }
  given: { left: given, right: given }
  family: { left: family, right: family }
  organisation: { left: org, right: org }
  email: { left: email, right: email, type: email }
  mobile: { left: 'phones[type=cell].value', right: 'phones[type=cell].value', type: phone, region: DE }
  work_phone: { left: 'phones[type=work].value', right: 'phones[type=work].value', type: phone, region: DE }
  town: { left: 'addresses[type=home].city', right: 'addresses[type=home].city' }
  birthday: { left: bday, right: bday, type: date }
  categories: { left: categories, right: categories, type: set }
  note: { left: note, right: note, type: text }
  url: { left: url, right: url }
schedule: { settle: 0s }
guard: { creates: 100% }
"""

CRM_CARDS = """\
pair: crm-cards
left: { account: crm, collection: contacts }
right: { account: office, collection: contacts }
start: right
match: [email]
conflict: left
fields:
  given: { left: firstname, right: given }
  family: { left: lastname, right: family }
  organisation: { left: company, right: org }
  email: { left: email, right: email, type: email }
  mobile: { left: mobilephone, right: 'phones[type=cell].value', type: phone, region: DE }
  work_phone: { left: phone, right: 'phones[type=work].value', type: phone, region: DE }
  town: { left: city, right: 'addresses[type=home].city' }
schedule: { settle: 0s }
"""


def card_account(shelf: Shelf) -> dict[str, Any]:
    """An account whose only address book is this one."""
    return {
        "app": "carddav",
        "settings": {"base_url": shelf.url, "username": shelf.server.username, "rate": 1000},
        "secrets": {"password": shelf.server.password},
    }

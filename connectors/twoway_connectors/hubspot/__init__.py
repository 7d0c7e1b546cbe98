"""HubSpot's CRM: contacts, companies and deals."""

from twoway_connectors.hubspot.connector import HubSpot

__all__ = ["HubSpot"]

"""CardDAV address books: contacts on Radicale, Xandikos, Nextcloud, Baïkal, Fastmail and the like."""

from twoway_connectors.carddav.connector import CardDav

__all__ = ["CardDav"]

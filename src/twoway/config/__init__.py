"""Settings and mapping files: read, checked together, and complained of with file and line."""

from twoway.config.load import Config, PairConfig, load, load_pair
from twoway.config.pairfile import Schedule
from twoway.config.problems import ConfigError, Problem
from twoway.config.settings import Access, AccountSection, Settings

__all__ = [
    "Access",
    "AccountSection",
    "Config",
    "ConfigError",
    "PairConfig",
    "Problem",
    "Schedule",
    "Settings",
    "load",
    "load_pair",
]

"""What holds for all tests."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
# How long a case takes depends on what else the machine does. `make mutants` has a profile of its own.
if settings.get_current_profile_name() == "default":
    settings.load_profile("untimed")

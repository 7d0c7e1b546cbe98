"""Python looks for circles less often while records come and go by the thousand, and still looks."""

import gc

from twoway.daemon.collector import collect_less


def test_circles_are_looked_for_less_often_and_not_never() -> None:
    before = gc.get_threshold()
    try:
        collect_less()
        young, *_ = gc.get_threshold()
        assert young > before[0]
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)

"""twoway beside vdirsyncer, between two CardDAV address books: `python -m benchmarks.vs_vdirsyncer`."""

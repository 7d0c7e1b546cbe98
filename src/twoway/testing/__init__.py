"""Published for tests of twoway, of connectors and of people's own mappings: an app in memory, a virtual clock."""

from tests.cli.setup import *
def test_try(twoway):
    ada = twoway.contact(email="ada@x.example.org", firstname="Ada", lastname="Lovelace")
    twoway.well("plan")
    twoway.well("approve", PAIR)
    print(twoway.well("sync", PAIR).out)
    for e in twoway.crm.requests_since(): print(e)
    print(twoway.well("undo", "1", "--yes").out)
    print(twoway.well("sync", PAIR, "--snapshot").out)
    for e in twoway.crm.requests_since(): print(e)

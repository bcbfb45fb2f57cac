"""The program as its users meet it: the command, real phones, Redis and HTTP; nothing of it is imported.

need        which peers a test cannot do without, how many rounds it runs
site        one `registrar serve` with the ways to look at it from outside
views       the live status of a phone in the API, on the command line and in Redis
line        one UDP socket for bytes that no phone would send
ledger      a load that remembers which of its requests was acknowledged last
waits       what takes a minute or half of one: begun first, looked at in the end
"""

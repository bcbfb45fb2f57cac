"""Real peers for tests: servers and phones that other people wrote, and a small phone of our own.

    process, procfs     a child process that never outlives its test, and what the kernel says about it
    ports               free ports on loopback
    redis, kamailio, registrar      servers
    sipp, baresip       phones that other people wrote
    phone, endpoint, load           our own phone: single messages, one socket, a steady load

Nothing here imports `registrar.sip`: a peer that shares our parser would share its mistakes.
"""

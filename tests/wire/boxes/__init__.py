"""Emulators of phones out of their boxes: each loads its files as its brand does, and reads them itself.

An emulator shares nothing with the writers in `config.provisioning`: the order of its requests, its
User-Agent, what it makes of a file and the Event that it heeds are told here once more. They are
facts of public guides and templates, not of real phones: none was at hand.
"""

"""Events for readers over HTTP: one reader of the stream of all events serves all of them."""

"""The page on which a network answers while a digit is drawn: its server, and in ``client/`` what
runs in the browser."""

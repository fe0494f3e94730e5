"""Which certificate authorities are trusted: by our REST client, and by Nautilus' websocket."""

from __future__ import annotations

import ssl

from warmup_job.binance.client import make_ccxt


def rest_trust() -> ssl.SSLContext:
    """Return the TLS settings of REST: public authorities, and the system's (SSL_CERT_FILE)."""
    made = websocket_trust()
    system = ssl.get_default_verify_paths().cafile
    if system is not None:
        made.load_verify_locations(cafile=system)
    return made


def websocket_trust() -> ssl.SSLContext:
    """Return TLS settings that trust public authorities only, as Nautilus' websocket does."""
    return ssl.create_default_context(cafile=make_ccxt(lambda *_: None).cafile)

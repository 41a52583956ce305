"""A small in-memory ClearML server, so that the tests need no containers and no network.

It answers the real SDK and the real clearml-agent daemon over HTTP on the loopback interface, and
keeps to what the open-source API server 2.3.0 does: names, states, error codes and oddities.
What the real server has and this one lacks is answered with "not implemented" and printed, never
made up.

    with ClearMLServer() as server:
        server.write_conf("clearml.conf")
"""

from .server import ClearMLServer

__all__ = ["ClearMLServer"]

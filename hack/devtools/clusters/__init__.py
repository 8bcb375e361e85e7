"""Control planes and operators as processes of this machine, a client, and a proxy that can go wrong."""

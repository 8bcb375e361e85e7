"""The programs of which each has an example."""

from __future__ import annotations

from interop.go import Go
from interop.grpc import GRPC
from interop.java import Java
from interop.nginx import Nginx
from interop.nodejs import NodeJS
from interop.openssl import OpenSSL
from interop.postgresql import PostgreSQL
from interop.program import Program
from interop.python import Python
from interop.redis import Redis

PROGRAMS: tuple[type[Program], ...] = (Nginx, PostgreSQL, Redis, OpenSSL, Python, Go, NodeJS, Java, GRPC)

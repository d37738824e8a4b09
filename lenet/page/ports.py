"""Who uses a port of this machine, and which one is free."""

import contextlib
import glob
import os

import tornado.netutil


def find_user(port):
    """The process that listens at a port, such as "python3, process 4711"."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as lines:
            for line in list(lines)[1:]:
                # number, local address:port, remote address, state (0A: listening), ..., inode
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if os.readlink(link) in sockets:
                process = link.split("/")[2]
                with open(f"/proc/{process}/comm") as name:
                    return f"{name.read().strip()}, process {process}"
    return "a process of another user"


def find_free_port(host, port):
    """The first port after this one that is free; 0 lets the system choose."""
    for other in range(port + 1, min(port + 100, 65536)):
        with contextlib.suppress(OSError):
            for listening in tornado.netutil.bind_sockets(other, host):
                listening.close()
            return other
    return 0

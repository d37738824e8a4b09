"""Who uses a port of this machine, and which one is free."""

import glob
import os
import socket


def find_user(port):
    """The process that listens at a port, such as "python3, process 4711"."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in read_lines(table)[1:]:
            # number, local address:port, remote address, state (0A: listening), ..., inode
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            found = os.readlink(link) in sockets
        except OSError:  # it has ended, or is somebody else's
            continue
        if found:
            process = link.split("/")[2]
            name = "".join(read_lines(f"/proc/{process}/comm")).strip()
            return f"{name or 'unknown'}, process {process}"
    return "a process of another user"


def read_lines(path):
    try:
        with open(path) as file:
            return file.readlines()
    except OSError:
        return []


def find_free_port(host, port):
    """The first port after this one that is free; 0 lets the system choose."""
    for other in range(port + 1, min(port + 100, 65536)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, other))
                return other
            except OSError:
                continue
    return 0

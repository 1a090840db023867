# A service manager's end of sd_notify: prints each datagram that comes to the socket as one line, "=" lines joined by "; ".
# Argument: a path, or an abstract name that begins with "@".
import socket
import sys

name = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("\0" + name[1:] if name.startswith("@") else name)
print("bound", flush=True)
while True:
    print("; ".join(receiver.recv(65536).decode().split("\n")), flush=True)

"""`doit` and `warm-python` for shells and Gulp: the run is a fork of warm.py's server, with the files open here.

    warm_client.py SERVER -m doit upload
    warm_client.py SERVER -c CODE
    warm_client.py SERVER FILE

It ends as the run ends, and passes signals on.
"""

import json
import os
import signal
import socket
import sys

server, *program = sys.argv[1:]
numbers = []
for number in range(10):
    try:
        os.fstat(number)
    except OSError:
        continue
    numbers.append(number)

connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
connection.connect(server)
try:
    folder = os.getcwd()  # noqa: PTH109 - pathlib is slow to load
except FileNotFoundError:  # the folder of a test that has ended
    folder = "/"
message = json.dumps([program, folder, dict(os.environ), numbers]).encode()
socket.send_fds(connection, [message], numbers)
child = int(connection.recv(100))
for each in (signal.SIGINT, signal.SIGTERM):
    signal.signal(each, lambda sign, _: os.kill(child, sign))
status = int(connection.recv(100))
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)

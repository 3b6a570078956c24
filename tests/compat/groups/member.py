"""A member of a group: a process of some client, told to consume until SIGTERM.

It prints a line `PARTITION OFFSET NUMBER` for each record before the record can be committed, and
nothing else. On SIGTERM it commits what it has consumed, leaves the group and ends with 0.
It is started as PROGRAM ADDRESS TOPIC GROUP auto|manual ASSIGNOR [INSTANCE]: with an instance id it
is a static member, whose session lasts long enough for it to be started again.
"""
import subprocess
import tempfile
import threading
import time


class Member:
    def __init__(self, command):
        self.seen = []  # (when, partition, offset, number)
        self.complaints = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.complaints, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            # The last line of one who was killed may be cut.
            if line.endswith("\n"):
                self.seen.append((time.monotonic(), *map(int, line.split())))

    def said(self):
        self.complaints.seek(0)
        return "".join(self.complaints.readlines()[-20:])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()

    def leave(self):
        self.process.terminate()
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "no end"
        self.reader.join()
        if code != 0:
            raise SystemExit(f"a member leaves with {code}: {self.said()}")

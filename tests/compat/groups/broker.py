"""The broker that the stories are told to: one Milena of our own, or one that runs already."""
import os
import subprocess
import tempfile

# Short sessions, so that a story takes seconds.
SETTINGS = ["group.min.session.timeout.ms=1000", "group.initial.rebalance.delay.ms=300",
            "group.consumer.min.session.timeout.ms=1000", "group.consumer.session.timeout.ms=3000",
            "group.consumer.min.heartbeat.interval.ms=100",
            "group.consumer.heartbeat.interval.ms=300",
            "group.consumer.assignment.interval.ms=0"]


class Broker:
    def __init__(self):
        self.process = None
        self.address = os.environ.get("ADDRESS")
        self.is_ours = not self.address
        self.folder = tempfile.TemporaryDirectory()
        if self.is_ours:
            self.start("127.0.0.1:0")

    def start(self, listener):
        settings = [f"log.dirs={self.folder.name}/data", f"listeners=PLAINTEXT://{listener}"]
        overrides = [word for one in settings + SETTINGS for word in ("--override", one)]
        with open(f"{self.folder.name}/milena.log", "a") as log:
            self.process = subprocess.Popen(
                [os.environ["MILENA"], "serve", *overrides], stdout=subprocess.PIPE, stderr=log,
                text=True)
        words = self.process.stdout.readline().split()
        if words[:1] != ["ready"]:
            raise SystemExit(f"Milena does not start: {self.log()}")
        self.address = words[1]

    def restart_after_kill(self):
        self.process.kill()
        self.process.wait()
        self.start(self.address)

    def log(self):
        if not self.is_ours:
            return ""
        with open(f"{self.folder.name}/milena.log") as log:
            return "".join(log.readlines()[-40:])

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)

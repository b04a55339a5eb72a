#!/usr/bin/env python3
"""Runs the units under a systemd of their own: a Debian without Swift, booted in a container, with what is installed.

Needs root, mmdebstrap and systemd-nspawn, and a Debian mirror for the first run; where one is missing it says so and
ends well. CAKED_SYSTEMD=required makes that a failure. The programs must be built (`make build`).
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

PROJECT = pathlib.Path(__file__).resolve().parent.parent
# What Debian's packages of the libraries that caked uses are called, and systemd itself.
PACKAGES = "systemd,systemd-sysv,liblmdb0,libxxhash0,libopenblas0-pthread,libstdc++6,passwd,util-linux"
IMAGE = PROJECT / ".build" / "systemd-image.tar"
CONFIGURATION = "/etc/caked/caked.yaml"
# Far beyond what anything here takes on a loaded machine: a wait that ends by it is a failure.
PATIENCE_SECONDS = 90


class Skipped(Exception):
    """Why the machine cannot run this."""


class Failure(Exception):
    """What did not hold."""


def run(*command, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options
    return subprocess.run(command, **options)


def check(condition, what):
    if not condition:
        raise Failure(what)


def until(condition, what):
    """Waits until `condition()` is true, and returns it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.1)
    raise Failure(f"not within {PATIENCE_SECONDS} s: {what}")


class Machine:
    """A booted container."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.log = open(self.root.parent / "console", "w+")
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "-D", str(root), "--boot", "--private-network", "--register=no",
             "--keep-unit", "--link-journal=no", f"--machine=caked-test-{os.getpid()}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        try:
            self.leader = until(self.find_leader, "the container's first process")
            until(lambda: self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"),
                  "the container's boot")
        except Failure as failure:
            self.stop()
            self.log.seek(0)
            raise Skipped(f"systemd does not boot in a container here ({failure})\n{self.log.read()[-2000:]}")

    def find_leader(self):
        if self.nspawn.poll() is not None:
            raise Failure(f"systemd-nspawn ended with {self.nspawn.returncode}")
        children = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split()
        for child in children:
            if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return child
        return None

    def stop(self):
        if self.nspawn.poll() is None:
            self.nspawn.terminate()
            try:
                self.nspawn.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait()

    def command(self, *command):
        return ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--wdns=/", "env",
                "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0", *command]

    def run(self, *command, **options):
        return run(*self.command(*command), **options)

    def good(self, *command, **options):
        """Runs a command that must succeed, and returns what it printed."""
        result = self.run(*command, **options)
        check(result.returncode == 0, f"{' '.join(command)} ended with {result.returncode}: {result.stdout}")
        return result.stdout

    def ask(self, question="What is the access code for Lisbon?"):
        return self.run("cakectl", "ask", "report", question, "--max-tokens", "8")

    def property(self, unit, name):
        return self.good("systemctl", "show", unit, "--property", name, "--value").strip()

    def state(self, unit):
        return self.property(unit, "ActiveState") + " " + self.property(unit, "SubState")

    def write(self, path, text):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def journal(self, *options):
        return self.good("journalctl", "--quiet", "--no-pager", "--unit", "caked", "--output=cat", *options)


def image():
    """A Debian like this one, with systemd and without Swift, as a tar file; made once."""
    lines = pathlib.Path("/etc/os-release").read_text().splitlines()
    release = dict(line.split("=", 1) for line in lines if "=" in line)
    if release.get("ID") != "debian" or "VERSION_CODENAME" not in release:
        raise Skipped("this is no Debian release, whose libraries the programs are linked with")
    if not IMAGE.exists():
        part = IMAGE.with_suffix(".part.tar")
        # This machine's mirrors, where apt names them in a file of Debian's own.
        sources = [str(file) for file in [pathlib.Path("/etc/apt/sources.list.d/debian.sources")] if file.exists()]
        result = run("mmdebstrap", "--variant=essential", "--quiet", f"--include={PACKAGES}",
                     release["VERSION_CODENAME"], str(part), *sources)
        if result.returncode != 0:
            raise Skipped(f"mmdebstrap cannot make a Debian here:\n{result.stdout[-2000:]}")
        part.rename(IMAGE)
    return IMAGE


def install(root):
    result = run("make", "-C", str(PROJECT), "install", f"DESTDIR={root}")
    check(result.returncode == 0, f"make install: {result.stdout}")


def facts(machine):
    """What must hold, in order: each leaves a machine that serves."""
    yield "the programs run without a compiler", programs
    yield "systemd finds nothing wrong with the units", units
    yield "the configuration is checked as the service would see it", checked
    yield "the first connection starts the daemon, which says what it does", activation
    yield "members of the group are served, others are not", permission
    yield "a start writes no warning, nor does a client", quiet_start
    yield "ten restarts under load take no socket away: clients go on being answered", restarts
    yield "a changed model file is taken up, as often as it changes", changed_model
    yield "a daemon that is killed is started again for who waits", killed
    yield "the watchdog restarts a daemon that hangs", watchdog
    yield "a wrong configuration is told to all, and mending it is all it takes", wrong_configuration
    yield "a damaged model is told to all, and mending it is all it takes", damaged_model
    yield "stopping ends the daemon and takes the socket away", stopping
    yield "uninstalling leaves documents and configuration alone", uninstalling


def programs(machine):
    for program in ("caked", "cakectl", "cakebench"):
        check(re.match(r"\d+\.\d+\.\d+", machine.good(program, "--version")), f"{program} --version")


def units(machine):
    machine.good("systemd-sysusers")
    machine.good("systemctl", "daemon-reload")
    said = machine.run("systemd-analyze", "verify", "/usr/lib/systemd/system/caked.service").stdout
    check("caked" not in said, said)


def checked(machine):
    said = machine.good("caked", "--check-config")
    check("as the user caked" in said and "the configuration is good" in said, said)
    model = "/usr/share/caked/needle-4m-q8_0.gguf"
    original = (machine.root / CONFIGURATION[1:]).read_text()
    line = original.splitlines().index(f"model: {model}") + 1
    for folder, mend in (("/home/a", "ProtectHome"), ("/root", "ProtectHome"), ("/srv/private", "Permission denied")):
        machine.good("mkdir", "-p", folder)
        machine.good("cp", model, f"{folder}/m.gguf")
        machine.good("chmod", "700", "/srv") if folder.startswith("/srv") else None
        machine.write(CONFIGURATION, original.replace(f"model: {model}", f"model: {folder}/m.gguf"))
        result = machine.run("caked", "--check-config")
        check(result.returncode == 78 and f"caked.yaml:{line}: model is `{folder}/m.gguf`" in result.stdout
              and mend in result.stdout, f"{result.returncode}: {result.stdout}")
    machine.good("chmod", "755", "/srv")
    machine.write(CONFIGURATION, original)


def activation(machine):
    machine.good("systemctl", "enable", "--now", "caked.socket")
    check(machine.state("caked.service") == "inactive dead", "the daemon waits for a connection")
    machine.good("cakectl", "status")
    check(machine.state("caked.service") == "active running", machine.state("caked.service"))
    check("answering questions with" in machine.good("systemctl", "status", "caked"), "the status line")
    text = (PROJECT / "demo" / "chronicle.txt").read_text()
    machine.good("cakectl", "put", "report", "-", "--method", "cake", input=text)
    check(machine.ask().returncode == 0, "a question")


def quiet_start(machine):
    said = machine.journal("--priority=warning")
    check(said.strip() == "", said)
    said = machine.good("journalctl", "--no-pager", "--quiet", "--output=cat")
    check("thread priority" not in said, "libdispatch complains in the log")


def permission(machine):
    def status(*groups):
        return machine.run("setpriv", "--reuid=1234", "--regid=1234", *groups, "cakectl", "status")
    group = machine.good("getent", "group", "caked").split(":")[2]
    check(status("--clear-groups").returncode == 77, "a stranger is served")
    check(status(f"--groups={group}").returncode == 0, "a member is refused")


class Load:
    """Clients that ask one question after the other until they are told to stop."""

    def __init__(self, machine, clients=3):
        self.machine, self.answers, self.failures, self.isDone = machine, 0, [], False
        self.threads = [threading.Thread(target=self.work) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def work(self):
        while not self.isDone:
            result = self.machine.ask()
            if result.returncode == 0:
                self.answers += 1
            # One that was connected when the daemon began to stop may be cut off, and hears so.
            elif not re.search("shutting down|closed the connection", result.stdout):
                self.failures.append(result.stdout)

    def end(self):
        self.isDone = True
        for thread in self.threads:
            thread.join()
        check(self.answers > 0 and not self.failures, f"{self.answers} answers, failed: {self.failures[:3]}")


def restarts(machine):
    load = Load(machine)
    try:
        for _ in range(10):
            answers = load.answers
            machine.good("systemctl", "restart", "caked")
            until(lambda: load.answers > answers, "an answer after a restart")
    finally:
        load.isDone = True
    load.end()
    check(machine.state("caked.socket").startswith("active"), machine.state("caked.socket"))


def changed_model(machine):
    model = "/usr/share/caked/needle-4m-q8_0.gguf"
    for _ in range(6):
        before = machine.property("caked.service", "InvocationID")
        machine.good("cp", model, model + ".new")
        machine.good("mv", model + ".new", model)
        until(lambda: machine.property("caked.service", "InvocationID") != before
              and machine.state("caked.service") == "active running", "the start after a change of model")
        check(machine.ask().returncode == 0, "a question after a change of model")
    check("the model file" in machine.journal("--priority=err"), "the reason of the restarts")


def killed(machine):
    before = machine.property("caked.service", "NRestarts")
    machine.good("systemctl", "kill", "--signal=KILL", "caked.service")
    check(machine.ask().returncode == 0, "a question after a kill")
    check(machine.property("caked.service", "InvocationID") != "" and before is not None, "an invocation")
    check(machine.state("caked.service") == "active running", machine.state("caked.service"))


def watchdog(machine):
    machine.good("sh", "-c", "mkdir -p /run/systemd/system/caked.service.d && "
                 "printf '[Service]\\nWatchdogSec=5\\n' > /run/systemd/system/caked.service.d/watchdog.conf")
    machine.good("systemctl", "daemon-reload")
    machine.good("systemctl", "restart", "caked")
    before = machine.property("caked.service", "InvocationID")
    machine.good("systemctl", "kill", "--signal=STOP", "caked.service")
    # A client that asks meanwhile is answered by the next daemon, unless the dying one takes its connection with it.
    until(lambda: machine.property("caked.service", "InvocationID") not in (before, ""), "the start by the watchdog")
    check(machine.ask().returncode == 0, "a question after the watchdog")
    check("Watchdog timeout" in machine.journal(), "the watchdog's line")
    machine.good("rm", "-r", "/run/systemd/system/caked.service.d")
    machine.good("systemctl", "daemon-reload")
    machine.good("systemctl", "restart", "caked")


def refused(machine, status, reason):
    """A daemon that cannot start: the start fails, all who ask hear why, and the socket stays."""
    result = machine.run("systemctl", "restart", "caked")
    check(result.returncode != 0, "a start that should have failed")
    # More clients than any limit of starts, one at a time and at once.
    for _ in range(6):
        result = machine.ask()
        check(result.returncode == 75 and reason in result.stdout, f"{result.returncode}: {result.stdout}")
    clients = [subprocess.Popen(machine.command("cakectl", "status"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True) for _ in range(20)]
    for client in clients:
        said = client.communicate()[0]
        check(client.returncode == 75 and reason in said, f"{client.returncode}: {said}")
    until(lambda: machine.state("caked.service") == "failed failed", "the failed state")
    check(machine.property("caked.service", "ExecMainStatus") == status, "the exit status")
    said = machine.run("systemctl", "status", "caked").stdout
    check(re.search(r"Status: .cannot start: .*" + re.escape(reason), said), said)
    check(reason in machine.journal("--priority=err"), "the reason at priority err")
    check(machine.state("caked.socket") == "active listening", machine.state("caked.socket"))


def wrong_configuration(machine):
    original = (machine.root / CONFIGURATION[1:]).read_text()
    machine.write(CONFIGURATION, original + "keep: 200%\n")
    line = len(original.splitlines()) + 1
    refused(machine, "78", f"{CONFIGURATION}:{line}: keep is `200%`")
    machine.write(CONFIGURATION, original)
    machine.good("systemctl", "start", "caked")
    check(machine.ask().returncode == 0, "a question after mending")
    # Nor does it take a command: the next connection starts a mended daemon.
    machine.write(CONFIGURATION, original + "kep: 20%\n")
    refused(machine, "78", f"{CONFIGURATION}:{line}: is `kep`")
    machine.write(CONFIGURATION, original)
    check(machine.ask().returncode == 0, "a question after mending")


def damaged_model(machine):
    model = "/usr/share/caked/needle-4m-q8_0.gguf"
    machine.good("cp", model, "/srv/whole.gguf")
    machine.good("sh", "-c", f"head -c 100000 /srv/whole.gguf > {model}.new && systemctl stop caked "
                 f"&& mv {model}.new {model}")
    refused(machine, "65", "the model cannot be used")
    machine.good("cp", "/srv/whole.gguf", model)
    machine.good("systemctl", "start", "caked")
    check(machine.ask().returncode == 0, "a question after mending")


def stopping(machine):
    machine.good("systemctl", "stop", "caked.socket", "caked.service")
    check(machine.state("caked.service") == "inactive dead", machine.state("caked.service"))
    check(machine.run("test", "-e", "/run/caked/caked.sock").returncode != 0, "the socket is there still")
    check(machine.ask().returncode == 69, "a question to nobody")


def uninstalling(machine):
    machine.good("systemctl", "disable", "--now", "caked.socket", "caked.service")
    result = run("make", "-C", str(PROJECT), "uninstall", f"DESTDIR={machine.root}")
    check(result.returncode == 0, result.stdout)
    machine.good("systemctl", "daemon-reload")
    check(machine.property("caked.service", "LoadState") == "not-found", "the unit is known still")
    check(machine.run("sh", "-c", "find /usr /etc/systemd -name '*caked*'").stdout == "", "something is left")
    machine.good("test", "-s", "/var/lib/caked/data.mdb")
    machine.good("test", "-s", CONFIGURATION)


def main():
    if os.geteuid() != 0:
        raise Skipped("only root may boot a container")
    for program in ("mmdebstrap", "systemd-nspawn", "nsenter"):
        if not shutil.which(program):
            raise Skipped(f"{program} is not installed")
    with tempfile.TemporaryDirectory(prefix="caked-systemd-", ignore_cleanup_errors=True) as folder:
        root = pathlib.Path(folder) / "root"
        root.mkdir()
        result = run("tar", "--extract", "--numeric-owner", f"--file={image()}", f"--directory={root}")
        check(result.returncode == 0, result.stdout)
        install(root)
        machine = Machine(root)
        try:
            for name, fact in facts(machine):
                begun = time.monotonic()
                try:
                    fact(machine)
                except Failure as failure:
                    print(f"failed: {name}\n{failure}\n{machine.run('systemctl', 'status', 'caked.*').stdout}"
                          f"{machine.run('journalctl', '--no-pager', '--lines=40').stdout}")
                    return 1
                print(f"holds ({time.monotonic() - begun:.1f} s): {name}", flush=True)
        finally:
            machine.stop()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Skipped as reason:
        print(f"skipped: the units under systemd: {reason}")
        sys.exit(1 if os.environ.get("CAKED_SYSTEMD") == "required" else 0)
    except Failure as failure:
        print(f"failed: {failure}")
        sys.exit(1)

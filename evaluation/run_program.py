"""The process in which one program that a model wrote runs; evaluation/programs.py starts it.

    python -I -S -X utf8 run_program.py FOLDER SECONDS shut|open PARENT

It runs FOLDER/program.py and writes to stdout "passed", or why not. "shut": in namespaces of its
own, see `shut_in`; what the system refuses is written as "refused: ...". "open": with the limits of
`set_limits` alone. Shut in, there are three processes: this one; a supervisor, the first process of
the new namespaces, which stops the program after so many seconds and ends all that it started; and
the program. Open, this process is the supervisor.
"""

import ctypes
import math
import os
import platform
import resource
import runpy
import signal
import sys
import threading
import time
from contextlib import suppress

MEMORY = 1 << 30       # bytes of address space of a process
FILE_SIZE = 1 << 24    # bytes of a file
FOLDER_SIZE = 1 << 26  # bytes of all files, in namespaces
PROCESSES = 16         # and threads, of one user
OPEN_FILES = 64
NOBODY = 65534         # the user and the group as which a program runs that root starts
LONGEST = 200          # characters of an outcome

# The kernel's numbers: linux/sched.h, linux/mount.h, linux/prctl.h, and its tables of calls.
NEW_MOUNTS, NEW_IPC, NEW_USER = 0x00020000, 0x08000000, 0x10000000
NEW_PROCESSES, NEW_NETWORK = 0x20000000, 0x40000000
NO_SUID, NO_DEVICES, BIND, RECURSIVE, PRIVATE, DETACH = 2, 4, 4096, 16384, 1 << 18, 2
SET_PDEATHSIG, SET_CHILD_SUBREAPER, SET_NO_NEW_PRIVS = 1, 36, 38
MOUNT_SETATTR = 442
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
CAPSET = {"x86_64": 126, "aarch64": 91}
VISIBLE = ("/usr", "/bin", "/lib", "/lib64", "/nix")  # what Python loads its libraries from


class Refused(Exception):
    """The system does not grant what shuts a program in."""


# --------------------------------------------------------------------------------- three processes

def main(folder, seconds, mode, parent):
    """The command line; see the top of this file."""
    channel = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)
    if sys.platform == "linux":
        prctl(SET_PDEATHSIG, signal.SIGKILL)  # a killed evaluation leaves no program behind
    if os.getppid() != int(parent):  # it was faster
        return
    try:
        if mode == "shut":
            drops_root = enter_namespaces()  # this process is the parent
            folder = shut_in(folder)
        else:
            drops_root = os.geteuid() == 0
        outcome = supervise(folder, float(seconds), drops_root)
    except Refused as refusal:
        outcome = f"refused: {refusal}"
    os.write(channel, outcome[:LONGEST].encode(errors="replace"))


def supervise(folder, seconds, drops_root):
    """Run folder/program.py in a child -> "passed", or why not; in the end no child is left."""
    os.chdir(folder)
    if drops_root:
        os.chown(folder, NOBODY, NOBODY)
    if sys.platform == "linux":
        prctl(SET_CHILD_SUBREAPER, 1)  # what the program starts and leaves falls to this process
    token = os.urandom(16)  # it comes back from a program that ran to its end, and from no other
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        run_child(token, writing, seconds, drops_root)
    os.set_blocking(reading, False)
    status = wait_for(child, seconds)
    if status is None:
        os.kill(child, signal.SIGKILL)
    end_descendants()
    if status is None:
        return f"not ended after {seconds:g} seconds"
    if os.WIFSIGNALED(status):
        return f"ended by signal {os.WTERMSIG(status)}"
    try:
        told = os.read(reading, 4096)
    except BlockingIOError:  # this process holds the writing end, too
        told = b""
    if told == token and status == 0:
        return "passed"
    return told.decode(errors="replace") or "ended before its tests did"


def run_child(token, writing, seconds, drops_root):
    """The process of the program: run it, and send the token, or what it raised. It never returns.

    A thread that is no daemon belongs to the program, as in any run of Python.
    """
    child = os.getpid()
    try:
        os.closerange(3, writing)
        os.closerange(writing + 1, 1 << 20)
        give_up_rights(drops_root)
        if not os.access(os.__file__, os.R_OK):
            raise Refused(f"root's programs run as nobody, who cannot read {sys.base_prefix}")
        set_limits(seconds)
        sys.argv[:] = ["program.py"]
        runpy.run_path("program.py", run_name="program")
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.main_thread():
                thread.join()
        if os.getpid() == child:  # a process that the program forked comes here as well
            os.write(writing, token)
            os._exit(0)
    except Refused as refusal:
        os.write(writing, f"refused: {refusal}".encode())
    except BaseException as error:  # SystemExit, too: a program that exits has not been tested
        os.write(writing, f"{type(error).__name__}: {error}"[:LONGEST].encode(errors="replace"))
    finally:
        os._exit(1)


def wait_for(child, seconds):
    """The status with which the child ends; None if it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pid, status = os.waitpid(-1, os.WNOHANG)  # -1: what it leaves behind is reaped, too
        if pid == child:
            return status
        if not pid:
            time.sleep(0.005)
    return None


def end_descendants():
    """Kill all processes below this one, until there is none."""
    while True:
        if os.getpid() == 1:
            with suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # all in the namespace but its first process
        else:
            for pid in descendants():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def descendants():
    """The ids of the processes below this one, as /proc tells them."""
    parents = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdecimal():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
    below = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in below} - below
        if not more:
            return below - {os.getpid()}
        below |= more


# ------------------------------------------------------------------------------------------- limits

def set_limits(seconds):
    """Limits on what this process and those that it starts may take."""
    cpu = math.ceil(seconds) + 1
    for limit, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, FILE_SIZE),
                        (resource.RLIMIT_NPROC, PROCESSES), (resource.RLIMIT_NOFILE, OPEN_FILES),
                        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, cpu)):
        _, hard = resource.getrlimit(limit)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(limit, (most, most))


def give_up_rights(drops_root):
    """Keep no right beyond an ordinary user's: root becomes nobody, for whom the limits count."""
    if sys.platform == "linux":
        prctl(SET_PDEATHSIG, signal.SIGKILL)
        prctl(SET_NO_NEW_PRIVS, 1)
    if drops_root:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    elif platform.machine() in CAPSET:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
        call("capset", CAPSET[platform.machine()], header, (ctypes.c_uint32 * 6)())


# --------------------------------------------------------------------------------------- namespaces

def enter_namespaces():
    """Go on as the first process of new namespaces -> whether it is root who must be dropped.

    Of processes: nothing outlives the first. Of mounts, of the network (none) and of IPC. Who is
    not root gets these in a namespace of users. The parent waits here, and ends with its child.
    Raises Refused.
    """
    kinds = NEW_MOUNTS | NEW_IPC | NEW_PROCESSES | NEW_NETWORK
    user, group = os.geteuid(), os.getegid()
    drops_root = False
    if user == 0:
        with suppress(Refused):
            libc_call("unshare", kinds)
            drops_root = True
    if not drops_root:
        libc_call("unshare", kinds | NEW_USER)
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"{NOBODY} {user} 1")
        write("/proc/self/gid_map", f"{NOBODY} {group} 1")
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        os._exit(0)
    prctl(SET_PDEATHSIG, signal.SIGKILL)
    return drops_root


def shut_in(folder):
    """Leave of all files only a new, small folder and, to be read, those of Python -> its path.

    The program has no /proc, no socket of the machine's services and nothing of the user's in
    sight. Raises Refused.
    """
    with open(os.path.join(folder, "program.py"), "rb") as file:
        program = file.read()
    mount(None, "/", None, RECURSIVE | PRIVATE)  # nothing of this reaches the machine's own mounts
    mount("tmpfs", folder, "tmpfs", NO_SUID | NO_DEVICES, f"size={FOLDER_SIZE},mode=0755")
    for path in visible_paths():
        place = folder + path
        if os.path.islink(path) and path in VISIBLE:
            os.symlink(os.readlink(path), place)
        elif os.path.isdir(path):
            os.makedirs(place, exist_ok=True)
            bind(path, place)
    os.mkdir(f"{folder}/dev")
    write(f"{folder}/dev/null", "")
    mount("/dev/null", f"{folder}/dev/null", None, BIND)
    os.mkdir(f"{folder}/work")
    os.chdir(folder)
    if platform.machine() not in PIVOT_ROOT:
        raise Refused(f"pivot_root: unknown on {platform.machine()}")
    call("pivot_root", PIVOT_ROOT[platform.machine()], b".", b".")
    libc_call("umount2", b".", DETACH)  # the old root, which lies over the new one
    with open("/work/program.py", "wb") as file:
        file.write(program)
    return "/work"


def visible_paths():
    """The folders of Python and its libraries, none of which lies in another."""
    paths = {*VISIBLE, sys.base_prefix}
    inner = set()
    for path in paths:
        inner |= {other for other in paths if other.startswith(f"{path}/")}
    return sorted(paths - inner)


def bind(path, place):
    """Show a folder at another place, to be read only."""
    mount(path, place, None, BIND | RECURSIVE)
    read_only = (ctypes.c_uint64 * 4)(1 | 2, 0, 0, 0)  # MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID
    call("mount_setattr", MOUNT_SETATTR, -100, place.encode(), 0x8000, read_only, 32)


def mount(source, target, kind, flags, options=None):
    """mount(2). Raises Refused."""
    texts = [text and os.fsencode(text) for text in (source, target, kind, options)]
    libc_call("mount", *texts[:3], ctypes.c_ulong(flags), texts[3])


def prctl(option, value):
    """prctl(2)."""
    libc_call("prctl", option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3)


def call(name, number, *arguments):
    """A call of the kernel that libc may lack, by its number. Raises Refused."""
    libc_call("syscall", ctypes.c_long(number), *arguments, name=name)


def libc_call(function, *arguments, name=""):
    """A function of libc that returns -1 for an error. Raises Refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, function):
        raise Refused(f"{function}: unknown on {sys.platform}")
    if getattr(libc, function)(*arguments) == -1:
        raise Refused(f"{name or function}: {os.strerror(ctypes.get_errno())}")


def write(path, text):
    """Fill a file. Raises Refused."""
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None


if __name__ == "__main__":
    main(*sys.argv[1:])

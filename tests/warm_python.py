#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python whose packages are loaded already: most of a short program's time is theirs.

`warm_python.py serve DESCRIPTOR MODULES...` loads the modules, and forks for each program that `warm_python.py SOCKET
WORDS...` asks for on that socket, WORDS being what Python is given: a script, `-m` and a module, or `-c` and code. What
asks looks like the program to whoever started it: the program has its standard input and output, environment and
folder, gets the signals that are sent to it, is killed with it, and its status is the program's. GNU Radio is loaded by
the program itself: its log has threads, which do not live on in a child.
"""

import json
import os
import signal
import socket
import sys

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIZE = 4  # bytes of a number


def ask(path: str, words: list[str]) -> None:
    """Have a program run, and end as it does."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    there = [number for number in range(3) if _is_open(number)]
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        case = {
            "words": words,
            "folder": os.getcwd(),
            "environment": dict(os.environ),
            "there": there,
            "ignored": [number for number in SIGNALS if signal.getsignal(number) == signal.SIG_IGN],
        }
        message = json.dumps(case).encode()
        socket.send_fds(server, [len(message).to_bytes(_SIZE, "big")], there)
        server.sendall(message)
        for number in there:
            os.close(number)
        child = int.from_bytes(_read(server, _SIZE), "big")
        for number in SIGNALS:
            signal.signal(number, lambda which, frame: os.kill(child, which))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        status = int.from_bytes(_read(server, _SIZE), "big", signed=True)
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _read(server: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = server.recv(count - len(data))
        if not more:
            raise EOFError("what forks has ended")
        data += more
    return data


def serve(listening: socket.socket) -> dict[str, object] | None:
    """Fork for each program; return in the child with what is asked for, or at the end of standard input without."""
    import selectors

    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == 0:
                    return None
                if key.fileobj is listening:
                    asking, _ = listening.accept()
                    size, numbers, _, _ = socket.recv_fds(asking, _SIZE, 3)
                    case = json.loads(_read(asking, int.from_bytes(size, "big")))
                    child = os.fork()
                    if not child:
                        for other in [asking, *(one.fileobj for one in selector.get_map().values())]:
                            if isinstance(other, socket.socket):
                                other.close()
                            elif other != 0:
                                os.close(other)
                        _stand_in(dict(zip(case["there"], numbers, strict=True)))
                        return case
                    for number in numbers:
                        os.close(number)
                    asking.sendall(child.to_bytes(_SIZE, "big"))
                    selector.register(asking, selectors.EVENT_READ, child)
                    selector.register(os.pidfd_open(child), selectors.EVENT_READ, (child, asking))
                elif isinstance(key.data, int):  # whoever asked is gone
                    os.kill(key.data, signal.SIGKILL)
                    selector.unregister(key.fileobj)
                else:
                    child, asking = key.data
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    _, status = os.waitpid(child, 0)
                    if asking in {one.fileobj for one in selector.get_map().values()}:
                        selector.unregister(asking)
                        code = os.waitstatus_to_exitcode(status)
                        asking.sendall(code.to_bytes(_SIZE, "big", signed=True))
                    asking.close()


def _stand_in(given: dict[int, int]) -> None:
    """Put descriptors in the place of this process's standard input and output; what is not given is closed."""
    for place in range(3):
        if place in given:
            os.dup2(given[place], place)
        else:
            os.close(place)
            setattr(sys, ("stdin", "stdout", "stderr")[place], None)
            setattr(sys, ("__stdin__", "__stdout__", "__stderr__")[place], None)
    for number in given.values():
        os.close(number)


def become(case: dict[str, object]) -> None:
    """Run a program in the place of this one."""
    import runpy
    import types

    for number in SIGNALS:
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in case["ignored"] else usual)
    os.environ.clear()
    os.environ.update(case["environment"])
    os.chdir(case["folder"])
    first, *rest = case["words"]
    if first == "-c":
        code, *arguments = rest
        sys.argv = ["-c", *arguments]
        sys.path[0] = ""
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), vars(main))
    elif first == "-m":
        module, *arguments = rest
        sys.argv = [module, *arguments]
        sys.path[0] = case["folder"]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        sys.path[0] = os.path.dirname(os.path.abspath(first))
        runpy.run_path(first, run_name="__main__")


def main() -> dict[str, object] | None:
    """Load, and serve."""
    import contextlib
    import gc
    import importlib

    for name in sys.argv[3:]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # children do not copy what they would only look through
    with socket.socket(fileno=int(sys.argv[2])) as listening:
        return serve(listening)


if __name__ == "__main__":
    if sys.argv[1] != "serve":
        ask(sys.argv[1], sys.argv[2:])
    asked = main()
    if asked is not None:
        become(asked)
